; At 0:7c00: from the reset vector to the program at CODE: MODE 16, 32 or 64, RING 0 or 3, PAGING.
        cli
        cs lgdt [gdt_pointer]
        cs lidt [idt_pointer]
%if MODE == 16
        xor ax, ax
        mov ds, ax
        mov es, ax
        mov ss, ax
        mov sp, 0x7c00
        jmp CODE_SEGMENT:0
%else
        mov eax, cr0
        and eax, ~0x60000000        ; CD, NW
        or eax, 0x21                ; NE, PE
%if MODE == 64
        mov ebx, eax
        mov eax, 0x620              ; OSXMMEXCPT, OSFXSR, PAE
        mov cr4, eax
        mov eax, TABLES
        mov cr3, eax
        mov ecx, 0xc0000080         ; EFER: NXE, LME, SCE
        mov eax, 0x901
        xor edx, edx
        wrmsr
        mov eax, ebx
        or eax, 0x80010000          ; PG, WP
        mov cr0, eax
        jmp dword KCODE:entered
        bits 64
%else
        mov cr0, eax
        jmp dword KCODE:entered
        bits 32
%endif
entered:
        mov ax, KDATA
        mov ds, ax
        mov es, ax
        mov ss, ax
        mov fs, ax
        mov gs, ax
        mov esp, STACK
        mov ax, TSS
        ltr ax
%if MODE == 32 && PAGING
        mov eax, cr4
        or eax, 0x10                ; PSE
        mov cr4, eax
        mov eax, TABLES
        mov cr3, eax
        mov eax, cr0
        or eax, 0x80010000
        mov cr0, eax
%endif
        xor ebx, ebx
        xor ecx, ecx
        xor edx, edx
%if RING == 3
        mov ax, UDATA
        mov ds, ax
        mov es, ax
        mov fs, ax
        mov gs, ax
        push UDATA
        push STACK
        push 2
%if MODE == 64
        push UCODE64
        push CODE
        iretq
%else
        push UCODE32
        push CODE
        iretd
%endif
%elif MODE == 64
        mov eax, CODE
        jmp rax
%else
        jmp KCODE:CODE
%endif
%endif
        align 8
gdt_pointer:
        dw 0x7f
        dd GDT
idt_pointer:
%if MODE == 16
        dw 0x3ff
        dd 0
%else
        dw MODE * 64 - 1            ; 256 gates of MODE / 4 bytes
        dd IDT
%endif
