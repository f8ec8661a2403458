; At HANDLERS: one handler for each vector: note what the CPU delivered in the log, then go on or end the run.
; Registers and the offset of the pushed vector, by mode.
%if MODE == 64
%define WORD_ 8
%define SP_ rsp
%define A_ rax
%define B_ rbx
%elif MODE == 32
%define WORD_ 4
%define SP_ esp
%define A_ eax
%define B_ ebx
%else
%define WORD_ 2
%define SP_ ebp                 ; 16-bit code cannot address by SP
%define A_ ax
%define B_ bx
%endif

%assign vector 0
%rep 256
        times (vector * 16) - ($ - $$) nop
%if !(MODE != 16 && (vector == 8 || (vector >= 10 && vector <= 14) || vector == 17))
        push 0                  ; where the CPU pushes no error code
%endif
%if MODE == 16
        push word vector
%else
        push vector
%endif
        jmp note
%assign vector vector + 1
%endrep

; Copy the word at SAVED + WORD_ * %1 of the stack to the record's field %2.
%macro NOTE 2
        mov A_, [SP_ + SAVED + WORD_ * %1]
        mov [ebx + %2 * 8], A_
%endmacro

note:
%if MODE == 16
        push ds
        push ebp
        push eax
        push ebx
        xor ax, ax
        mov ds, ax
        movzx ebp, sp
        xor ebx, ebx
%define SAVED 14
%elif MODE == 32
        push ds
        push eax
        push ebx
        push ss                 ; a flat data segment, whatever DS was
        pop ds
%define SAVED 12
%else
        push rax
        push rbx
%define SAVED 16
%endif
        mov ebx, [LOG_COUNT]
        cmp ebx, 500
        jae .full
        imul ebx, RECORD
        add ebx, LOG
        NOTE 0, 0               ; vector
        NOTE 1, 1               ; error code
        NOTE 2, 2               ; IP
        NOTE 3, 3               ; CS
        NOTE 4, 4               ; flags
        NOTE 5, 5               ; SP, where it is pushed
%if MODE == 64
        mov rax, cr2
        mov [rbx + 6 * 8], rax
        mov rax, dr6
        mov [rbx + 7 * 8], rax
%else
        mov eax, cr2
        mov [ebx + 6 * 8], eax
        mov eax, dr6
        mov [ebx + 7 * 8], eax
%endif
.full:  inc dword [LOG_COUNT]
        xor ebx, ebx
        mov bl, [SP_ + SAVED]
        cmp byte [ebx + POLICY], 0
        je .end
%if MODE == 64
        movzx eax, byte [ebx + SKIP]
        add [rsp + SAVED + 2 * WORD_], rax
        pop rbx
        pop rax
        add rsp, 2 * WORD_
        iretq
%elif MODE == 32
        movzx eax, byte [ebx + SKIP]
        add [esp + SAVED + 2 * WORD_], eax
        pop ebx
        pop eax
        pop ds
        add esp, 2 * WORD_
        iretd
%else
        mov al, [ebx + SKIP]
        xor ah, ah
        add [ebp + SAVED + 2 * WORD_], ax
        pop ebx
        pop eax
        pop ebp
        pop ds
        add sp, 2 * WORD_
        iret
%endif
.end:
%if MODE == 64
        pop rbx
        pop rax
%elif MODE == 32
        pop ebx
        pop eax
        pop ds
%else
        pop ebx
        pop eax
        pop ebp
        pop ds
%endif
        END
