; A multiboot program that does what a script says and reports through the debug console: steps of
; three 32-bit words (operation, address, value) lie right behind it; a report is one such word.
bits 32
org 0x100000

FLAGS      equ 0x10003          ; modules on pages, memory map, the addresses below count
MAGIC      equ 0x1BADB002
END        equ 0                ; operations
READ       equ 1                ; report the memory at address
WRITE      equ 2
OUTPUT     equ 3                ; to the port at address
TAKE       equ 4                ; let one interrupt in, report its vector or -1
DEBUGCON   equ 0xE9
EXIT       equ 0x501            ; isa-debug-exit
CODE       equ 8
DATA       equ 16
GATE       equ 0x8E00           ; present, 32-bit interrupt gate

        align 4
header: dd MAGIC, FLAGS, -(MAGIC + FLAGS)
        dd header, header, 0, 0, start

start:  cli
        mov esp, stack
        lgdt [gdtr]
        jmp CODE:.flat
.flat:  mov ax, DATA
        mov ds, ax
        mov es, ax
        mov ss, ax
        mov edi, idt            ; every vector has a stub of its own
        mov eax, stubs
        mov ecx, 256
.gate:  mov [edi], ax
        mov word [edi + 2], CODE
        mov word [edi + 4], GATE
        mov edx, eax
        shr edx, 16
        mov [edi + 6], dx
        add edi, 8
        add eax, STUB_SIZE
        loop .gate
        lidt [idtr]
        mov al, 0xFF            ; nothing from the 8259s
        out 0x21, al
        out 0xA1, al
        mov esi, script

step:   mov ebx, [esi + 4]
        mov eax, [esi + 8]
        mov ecx, [esi]
        add esi, 12
        cmp ecx, READ
        je read
        cmp ecx, WRITE
        je write
        cmp ecx, OUTPUT
        je output
        cmp ecx, TAKE
        je take
        mov dx, EXIT
        out dx, al
        hlt

read:   mov eax, [ebx]
        call report
        jmp step
write:  mov [ebx], eax
        jmp step
output: mov dx, bx
        out dx, al
        jmp step
take:   mov dword [vector], -1
        sti
        nop
        nop
        cli
        mov eax, [vector]
        call report
        jmp step

report: mov ecx, 4
.byte:  out DEBUGCON, al
        shr eax, 8
        loop .byte
        ret

taken:  pop dword [vector]
        and byte [esp + 9], 0xFD        ; IF, so that only one gets in
        iret

STUB_SIZE equ 10
stubs:
%assign n 0
%rep 256
        push dword strict n
        jmp dword strict near taken
%assign n n + 1
%endrep

        align 8
gdt:    dq 0, 0x00CF9A000000FFFF, 0x00CF92000000FFFF
gdtr:   dw 23
        dd gdt
idtr:   dw 256 * 8 - 1
        dd idt
vector: dd 0

        align 16
idt:    times 256 dq 0
        times 1024 dd 0
stack:
script:
