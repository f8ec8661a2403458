/* Reads the operations of a block that is being translated, the newest first: operands.h. */
#include "operands.h"

/* The operation with this opcode and first argument, if it is next. */
static const Op *take(Operations *operations, uint8_t opcode, uintptr_t first)
{
    if (operations->link == &operations->tcg->first_op)
        return NULL;
    const Op *op = (const Op *)((const char *)operations->link - offsetof(Op, link));
    if (op->opcode != opcode || op->arguments[0] != first)
        return NULL;
    operations->link = op->link[1];
    return op;
}

static uintptr_t env(const Operations *operations)
{
    return (uintptr_t)operations->tcg + operations->tcg->env;
}

bool operand_immediate(Operations *operations, const void *argument, uintptr_t *immediate)
{
    const Op *move = take(operations, TCG_MOVI_I32, (uintptr_t)argument);
    if (!move)
        return false;
    *immediate = move->arguments[1];
    return true;
}

bool operand_place(Operations *operations, const void *argument, uintptr_t *place)
{
    const Op *add = take(operations, TCG_ADD_I64, (uintptr_t)argument);
    if (!add || add->arguments[1] != env(operations))
        return false;
    const Op *move = take(operations, TCG_MOVI_I64, add->arguments[2]);
    if (!move)
        return false;
    *place = move->arguments[1];
    return true;
}

bool operand_stored(Operations *operations, uintptr_t place, uintptr_t *immediate)
{
    if (operations->link == &operations->tcg->first_op)
        return false;
    const Op *newest = (const Op *)((const char *)operations->link - offsetof(Op, link));
    const Op *store = take(operations, TCG_ST32_I64, newest->arguments[0]);
    if (!store || store->arguments[1] != env(operations) || store->arguments[2] != place)
        return false;
    const Op *move = take(operations, TCG_MOVI_I64, store->arguments[0]);
    if (!move)
        return false;
    *immediate = move->arguments[1];
    return true;
}
