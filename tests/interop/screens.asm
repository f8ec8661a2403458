; Shows screens: each byte that comes by COM1 is the number of the next, and is sent back when the
; screen is there. The screens are in a file that is assembled with this one; see the test.
bits 16
org 0x7c00
COM1 equ 0x3f8

        xor ax, ax
        mov ds, ax
        mov es, ax
        mov ss, ax
        mov sp, 0x7c00
        mov ax, 0x0200 + SECTORS        ; read the rest from the disk
        mov bx, 0x7e00
        mov cx, 2
        mov dx, 0x80
        int 0x13
        mov al, '!'
answer: mov dx, COM1
        out dx, al
await:  mov dx, COM1 + 5
        in al, dx
        test al, 1
        jz await
        mov dx, COM1
        in al, dx
        push ax
        mov bl, al
        mov bh, 0
        shl bx, 1
        mov word [seed], 1
        call [screens + bx]
        pop ax
        jmp answer
seed:   dw 1

times 510 - ($ - $$) db 0
dw 0xaa55

; video NUMBER: set the BIOS mode, and colours of our own
%macro video 1
        mov ax, %1
        int 0x10
        call colours
%endmacro

; reg PORT, INDEX, VALUE: an indexed register
%macro reg 3
        mov dx, %1
        mov ax, %2 | (%3) << 8
        out dx, ax
%endmacro

; attr INDEX, VALUE: a register of the attribute controller
%macro attr 2
        mov dx, 0x3da
        in al, dx
        mov dx, 0x3c0
        mov al, %1
        out dx, al
        mov al, %2
        out dx, al
        mov al, 0x20
        out dx, al
%endmacro

; vbe INDEX, VALUE: a register of the Bochs display interface, whose data port is not above its own
%macro vbe 2
        mov dx, 0x1ce
        mov ax, %1
        out dx, ax
        inc dx
        mov ax, %2
        out dx, ax
%endmacro

; linear WIDTH, HEIGHT, DEPTH, BANKS: a mode of the Bochs interface, with its memory filled
%macro linear 4
        video 0x13
        vbe 4, 0
        vbe 1, %1
        vbe 2, %2
        vbe 3, %3
        vbe 4, 0x41
        mov cx, %4
%%bank: push cx
        dec cx
        mov dx, 0x1ce
        mov ax, 5
        out dx, ax
        inc dx
        mov ax, cx
        out dx, ax
        fill 0xa000, 0x10000
        pop cx
        loop %%bank
%endmacro

; fill SEGMENT, BYTES: pseudo-random words
%macro fill 2
        mov ax, %1
        mov cx, (%2) / 2
        call fill_words
%endmacro

; fill_planes: the four planes, each with other bytes
%macro fill_planes 0
%assign %%plane 1
%rep 4
        reg 0x3c4, 2, %%plane
        fill 0xa000, 0x8000
%assign %%plane %%plane * 2
%endrep
        reg 0x3c4, 2, 15
%endmacro

%macro hide_cursor 0
        reg 0x3d4, 10, 0x20
%endmacro

fill_words:
        mov es, ax
        xor di, di
        mov bx, 25173
.next:  mov ax, [seed]
        mul bx
        add ax, 13849
        mov [seed], ax
        xchg al, ah
        stosw
        loop .next
        ret

; 256 colours of six-bit components
colours:
        mov dx, 0x3c8
        xor al, al
        out dx, al
        inc dx
        mov cx, 768
        mov bx, 40503
        mov si, 77
.next:  mov ax, si
        mul bx
        mov dx, 0x3c9
        add ax, 12345
        mov si, ax
        mov al, ah
        and al, 0x3f
        out dx, al
        loop .next
        ret
