/* What an SSE helper is about to be called with, read from the operations made for its arguments.
 *
 * The translator hands pointers to a helper; where they point is known while it translates, from
 * what it has just made: "pointer = env + number". Each function takes the newest operations for what
 * its name says, and goes back before them; it is false, and nothing is to be done, if they are not.
 */
#ifndef PYEMU_OPERANDS_H
#define PYEMU_OPERANDS_H

#include "vcpu.h"

typedef struct {
    const Tcg *tcg;
    const void *link; /* of the newest that has not been looked at */
} Operations;

static inline Operations operations_last(const Tcg *tcg)
{
    return (Operations){tcg, tcg->last_link};
}

/* argument = immediate */
bool operand_immediate(Operations *operations, const void *argument, uintptr_t *immediate);
/* argument = env + place */
bool operand_place(Operations *operations, const void *argument, uintptr_t *place);
/* the 32 bits at env + place = immediate */
bool operand_stored(Operations *operations, uintptr_t place, uintptr_t *immediate);

#endif
