/* Numbers of the architecture: exceptions, flags, bits of control registers.
 *
 * Sources: Intel SDM volume 3A, 2.3, 2.5 and table 6-1, 3B, 17.2; AMD64 APM volume 2, 3.1.7.
 */
#ifndef PYEMU_X86_H
#define PYEMU_X86_H

enum {
    VECTOR_DEBUG = 1,
    VECTOR_NMI = 2,
    VECTOR_INVALID_OPCODE = 6,
    VECTOR_DOUBLE_FAULT = 8,
    VECTOR_TSS = 10,
    VECTOR_NOT_PRESENT = 11,
    VECTOR_PROTECTION = 13,
};

#define FLAG_CF 0x1ull
#define FLAG_ZF 0x40ull
#define FLAG_TF 0x100ull
#define FLAG_IF 0x200ull
#define FLAG_DF 0x400ull
#define FLAG_RF 0x10000ull
#define FLAG_VM 0x20000ull
#define FLAG_AC 0x40000ull
#define FLAGS_ARITHMETIC 0x8d5ull /* OF SF ZF AF PF CF */

#define CR0_PE 1u
#define CR0_PG 0x80000000u
#define CR4_TSD 4u /* RDTSC not in ring 3 */
#define CR4_DE 8u  /* DR4 and DR5 are none */
#define CR4_ALWAYS 0x7ffull /* the bits that every 64-bit processor has: VME to OSXMMEXCPT */

#define DR6_BD 0x2000ull
#define DR7_GD 0x2000ull /* the next access to a debug register is #DB */

#define EFER_SCE 1ull
#define EFER_SVME 0x1000ull

#endif
