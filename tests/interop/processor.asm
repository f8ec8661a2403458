; A kernel that enters long mode with everything mapped below 4 GiB and runs the lines of BODY, which
; say what they see on COM1.
;
; SHOW register     its value, a line of 16 digits
; TRY instruction   goes on behind it even if it faults; the handler says so
; END               leaves the emulator
;
; An exception or interrupt is a line "* vector", after #DB one with the low half of DR6. Faults
; outside of TRY are the end.

MAGIC   equ 0x1badb002
ADDRESSES equ 0x10000
BASE    equ 0x100000
TABLES  equ 0x200000        ; PML4, PDPT, four page directories
IDT     equ 0x207000
STACK   equ 0x300000
DATA    equ 0x400000
COM1    equ 0x3f8
%define LAPIC r14           ; its address

%macro SHOW 1
        push rax
        mov rax, %1
        call show
        pop rax
%endmacro

%macro TRY 1+
        mov r15, %%after
        %1
%%after:
        xor r15, r15
%endmacro

%macro END 0
        mov al, 0
        out 0xf4, al
        hlt
%endmacro

        org BASE
        bits 32
        align 4
header: dd MAGIC, ADDRESSES, -(MAGIC + ADDRESSES), header, BASE, 0, 0, start

start:  cld
        mov esp, STACK
        mov edi, TABLES
        xor eax, eax
        mov ecx, (IDT - TABLES) / 4
        rep stosd
        mov dword [TABLES], TABLES + 0x1003
        mov edi, TABLES + 0x1000
        mov eax, TABLES + 0x2003
        mov ecx, 4
.directory:
        stosd
        add edi, 4
        add eax, 0x1000
        loop .directory
        mov edi, TABLES + 0x2000
        mov eax, 0x83
        mov ecx, 2048
.page:  stosd
        add edi, 4
        add eax, 0x200000
        loop .page
        mov edi, IDT
        mov eax, handlers
        mov ecx, 256
.gate:  mov word [edi], ax
        mov word [edi + 2], 8
        mov word [edi + 4], 0x8e00
        mov edx, eax
        shr edx, 16
        mov word [edi + 6], dx
        mov dword [edi + 8], 0
        mov dword [edi + 12], 0
        add edi, 16
        add eax, 16
        loop .gate
        mov al, 0xff            ; the 8259s are masked
        out 0x21, al
        out 0xa1, al
        mov eax, 0x620          ; OSXMMEXCPT, OSFXSR, PAE
        mov cr4, eax
        mov eax, TABLES
        mov cr3, eax
        mov ecx, 0xc0000080     ; EFER.LME
        rdmsr
        or eax, 0x100
        wrmsr
        mov eax, 0x80000033     ; PG, NE, ET, MP, PE
        mov cr0, eax
        lgdt [gdt_pointer]
        jmp 8:long_mode

        bits 64
long_mode:
        mov ax, 0x10
        mov ds, ax
        mov es, ax
        mov ss, ax
        lidt [idt_pointer]
        mov r14d, 0xfee00000
        mov dword [LAPIC + 0xf0], 0x1ff
        mov dword [LAPIC + 0x80], 0
        xor r15, r15
        BODY
        END

show:   push rcx
        push rbx
        push rdx
        mov edx, COM1
        mov rbx, rax
        mov ecx, 16
.digit: rol rbx, 4
        mov eax, ebx
        and al, 15
        add al, '0'
        cmp al, '9'
        jbe .say
        add al, 'a' - '9' - 1
.say:   out dx, al
        loop .digit
        mov al, 10
        out dx, al
        pop rdx
        pop rbx
        pop rcx
        ret

        align 16
handlers:
%assign vector 0
%rep 256
        align 16
%if vector = 8 || (vector >= 10 && vector <= 14) || vector = 17
        add rsp, 8              ; the error code
%endif
        push rax
        mov al, vector
        jmp handle
%assign vector vector + 1
%endrep

handle: push rcx
        movzx ecx, al
        push rdx
        mov edx, COM1
        mov al, '*'
        out dx, al
        pop rdx
        SHOW rcx
        cmp cl, 1
        jne .no_debug
        mov rax, dr6
        movzx eax, ax
        SHOW rax
.no_debug:
        cmp cl, 32
        jb .ended
        mov dword [LAPIC + 0xb0], 0
.ended: cmp cl, 32
        jae .known
        cmp cl, 1
        je .known
        test r15, r15
        jz .lost
.known: pop rcx
        pop rax
        test r15, r15
        jz .back
        mov [rsp], r15
.back:  iretq
.lost:  END

        align 8
gdt:    dq 0, 0x00af9b000000ffff, 0x00cf93000000ffff
gdt_pointer:
        dw gdt_pointer - gdt - 1
        dd gdt
idt_pointer:
        dw 0xfff
        dq IDT
