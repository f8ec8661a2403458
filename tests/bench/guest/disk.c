/* Reads or writes a disk in pieces of 4 KiB, around the page cache; prints microseconds for each.
 *
 *     disk DEVICE read|write sequential|random START COUNT
 *
 * START and COUNT are in pieces. Writes end with an fdatasync.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { PIECE = 4096 };

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec + now.tv_nsec / 1e9;
}

int main(int count, char **words)
{
    static char buffer[PIECE] __attribute__((aligned(PIECE)));
    if (count != 6)
        return 2;
    int writing = !strcmp(words[2], "write"), random = !strcmp(words[3], "random");
    unsigned start = atoi(words[4]), pieces = atoi(words[5]), state = 1;
    int disk = open(words[1], O_RDWR | O_DIRECT);

    double began = seconds();
    for (unsigned i = 0; i < pieces; i++) {
        state = state * 1664525 + 1013904223; /* Numerical Recipes, section 7.1 */
        off_t at = (off_t)PIECE * (start + (random ? (state >> 8) % pieces : i));
        memset(buffer, i, PIECE / 16);
        if ((writing ? pwrite(disk, buffer, PIECE, at) : pread(disk, buffer, PIECE, at)) != PIECE)
            return 1;
    }
    if (writing && fdatasync(disk))
        return 1;
    printf("%.2f us each\n", (seconds() - began) * 1e6 / pieces);
    return 0;
}
