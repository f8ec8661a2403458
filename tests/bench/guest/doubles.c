/* Multiplies matrices of doubles, which gcc does by SSE2, two at a time: `doubles ROUNDS`. */
#include <stdio.h>
#include <stdlib.h>

enum { N = 128 };

static double a[N][N], b[N][N], c[N][N];

int main(int count, char **words)
{
    if (count != 2)
        return 2;
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++)
            a[i][j] = 1.0 / (i + j + 1), b[i][j] = i - j;
    for (int rounds = atoi(words[1]); rounds > 0; rounds--)
        for (int i = 0; i < N; i++)
            for (int k = 0; k < N; k++)
                for (int j = 0; j < N; j++)
                    c[i][j] += a[i][k] * b[k][j];
    printf("%g\n", c[N - 1][0]);
    return 0;
}
