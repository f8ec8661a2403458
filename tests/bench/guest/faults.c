/* Touches each page of a fresh mapping of 16 MiB: `faults ROUNDS`, 4096 page faults a round. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/mman.h>

enum { PAGE = 4096, SIZE = 16 << 20 };

int main(int count, char **words)
{
    if (count != 2)
        return 2;
    for (int rounds = atoi(words[1]); rounds > 0; rounds--) {
        char *memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED)
            return 1;
        for (int at = 0; at < SIZE; at += PAGE)
            memory[at] = 1;
        munmap(memory, SIZE);
    }
    return 0;
}
