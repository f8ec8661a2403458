/* How often each block was executed, counted without Python: a table by address, open addressing.
 *
 * The vCPU's thread counts, and only there, or while it stands still, is the table read. */
#include "tracing.h"

#define FIRST_BITS 16 /* of the table's size, in entries */
#define FULLEST 2     /* it grows when this fraction of it is used: one in two */

typedef struct BlockCount {
    uint64_t address, count; /* count 0: a free entry */
    uint32_t size;           /* bytes of the block, as it was last */
} BlockCount;

static size_t place_of(const BlockCounts *counts, uint64_t address)
{
    size_t mask = ((size_t)1 << counts->bits) - 1;
    size_t at = (address * 0x9e3779b97f4a7c15) >> (64 - counts->bits);
    while (counts->table[at].count && counts->table[at].address != address)
        at = (at + 1) & mask;
    return at;
}

/* Twice the room; false, and what there is stays, where the host has no memory for it. */
static bool grow(BlockCounts *counts)
{
    BlockCounts larger = {.bits = counts->bits ? counts->bits + 1 : FIRST_BITS};
    larger.table = calloc((size_t)1 << larger.bits, sizeof *larger.table);
    if (!larger.table)
        return false;
    for (size_t i = 0; counts->bits && i >> counts->bits == 0; i++)
        if (counts->table[i].count)
            larger.table[place_of(&larger, counts->table[i].address)] = counts->table[i];
    larger.used = counts->used;
    free(counts->table);
    *counts = larger;
    return true;
}

void on_block_counted(void *uc, uint64_t address, uint32_t size, void *user)
{
    BlockCounts *counts = &((Vcpu *)user)->block_counts;
    (void)uc;
    if (!counts->table && !grow(counts))
        return;
    BlockCount *entry = &counts->table[place_of(counts, address)];
    if (!entry->count) {
        size_t room = (size_t)1 << counts->bits;
        if (counts->used >= room / FULLEST) {
            if (!grow(counts) && counts->used + 1 >= room)
                return; /* one entry stays free, for searches to end at */
            entry = &counts->table[place_of(counts, address)];
        }
        counts->used++;
        entry->address = address;
    }
    entry->size = size;
    entry->count++;
}

PyObject *counts_list(const BlockCounts *counts)
{
    PyObject *list = PyList_New(0);
    for (size_t i = 0; list && counts->table && i >> counts->bits == 0; i++) {
        const BlockCount *entry = &counts->table[i];
        if (!entry->count)
            continue;
        PyObject *row = Py_BuildValue("KIK", (unsigned long long)entry->address, entry->size,
                                      (unsigned long long)entry->count);
        if (!row || PyList_Append(list, row) < 0)
            Py_CLEAR(list);
        Py_XDECREF(row);
    }
    return list;
}

void counts_free(BlockCounts *counts)
{
    free(counts->table);
    *counts = (BlockCounts){0};
}
