/* Two processes hand one byte to and fro through two pipes: `pipes ROUNDS`. */
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int count, char **words)
{
    int there[2], back[2];
    char byte = 0;
    if (count != 2 || pipe(there) || pipe(back))
        return 2;
    if (!fork()) {
        close(there[1]);
        while (read(there[0], &byte, 1) == 1 && write(back[1], &byte, 1) == 1)
            ;
        _exit(0);
    }
    for (int rounds = atoi(words[1]); rounds > 0; rounds--)
        if (write(there[1], &byte, 1) != 1 || read(back[0], &byte, 1) != 1)
            return 1;
    close(there[1]);
    wait(NULL);
    return 0;
}
