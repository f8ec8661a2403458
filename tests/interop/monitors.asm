; A boot sector that enters MODE (16, 32, 36 for PAE, or 64) with page tables of many kinds,
; sets registers to known values and halts for good.
        cli
        xor ax, ax
        mov ds, ax
        mov es, ax
        mov ss, ax
        mov fs, ax
        mov gs, ax
        mov sp, 0x7c00
        mov al, 0xff            ; nobody disturbs
        out 0x21, al
        out 0xa1, al
        lgdt [gdt_pointer]
        lidt [idt_pointer]
%if MODE != 16
        mov edi, 0x10000        ; the tables, cleared
        mov ecx, 0x4000
        xor eax, eax
        a32 rep stosd
        mov eax, cr0
        or al, 1
        mov cr0, eax
        jmp 8:protected
        bits 32
protected:
        mov ax, 16
        mov ds, ax
        mov es, ax
        mov ss, ax
        fninit
        fld1
        fldpi
        mov dword [0xfee000f0], 0x1ff   ; the APIC on, but its priority above both that ask
        mov dword [0xfee00080], 0x70
        mov dword [0xfee00300], 0x44040
        mov dword [0xfee00300], 0x44051
        mov dword [0xfee00320], 0x20030
        mov dword [0xfee00350], 0x08700
        mov dword [0xfee00360], 0x00400
        mov dword [0xfec00000], 0x24    ; input 10: by level, to vector 55h
        mov dword [0xfec00010], 0x0000a955
        mov dword [0xfec00000], 0x25
        mov dword [0xfec00010], 0x01000000
    %if MODE == 32
        mov dword [0x10000], 0x11027
        mov dword [0x10004], 0x004000e3
        mov dword [0x1000c], 0x00c0009f
        mov dword [0x10ffc], 0x11025
        mov edi, 0x11000
        mov eax, 0x00003
        mov edx, 4
    %else
        %if MODE == 36
        mov dword [0x10000], 0x12001
        mov dword [0x10018], 0x12001
        %else
        mov dword [0x10000], 0x11027
        mov dword [0x10ff8], 0x11063
        mov dword [0x11000], 0x12027
        mov dword [0x11ff8], 0x12025
        %endif
        mov dword [0x12000], 0x13027
        mov dword [0x12008], 0x002000e7
        mov dword [0x12010], 0x00600083
        mov dword [0x12ff8], 0x13063
        mov edi, 0x13000
        mov eax, 0x00003
        mov edx, 8
    %endif
        mov ecx, 16             ; 64 KiB as they are, then some of other kinds
pages:  mov [edi], eax
        add eax, 0x1000
        add edi, edx
        loop pages
        mov dword [edi], 0x20165
        add edi, edx
        mov dword [edi], 0x21167
        add edi, edx
        mov dword [edi], 0x22000
        add edi, edx
        mov dword [edi], 0x100b9
    %if MODE != 32
        mov dword [edi + 4], 0x80000000
    %endif
        mov eax, 0x10000
        mov cr3, eax
        mov eax, cr4
    %if MODE == 32
        or eax, 0x610
    %else
        or eax, 0x620
    %endif
        mov cr4, eax
        mov ecx, 0xc0000080
        rdmsr
    %if MODE == 64
        or eax, 0x900
    %elif MODE == 36
        or eax, 0x800
    %endif
        wrmsr
        mov eax, cr0
        or eax, 0x80000000
        mov cr0, eax
    %if MODE == 64
        jmp 24:wide
        bits 64
wide:   mov r8, 0x1122334455667788
        mov r15, 0x8877665544332211
        movq xmm1, r8
        movq xmm15, r15
    %endif
%endif
        mov eax, 0x11111111
        mov ebx, 0x22222222
        mov ecx, 0x33333333
        mov edx, 0x44444444
        mov esi, 0x55555555
        mov edi, 0x66666666
        mov ebp, 0x77777777
        stc
        hlt
        align 8
gdt:    dq 0, 0x00cf9b000000ffff, 0x00cf93000000ffff, 0x00af9b000000ffff
gdt_pointer:
        dw 31
        dd gdt
idt_pointer:
        dw 0
        dd 0
        times 510 - ($ - $$) db 0
        dw 0xaa55
