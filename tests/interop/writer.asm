; A boot sector that writes for ever to the disk it came from: the number n = 0, 1, 2... goes into
; sector 64 + n * 40503 % 16384. After each eighth it flushes, and then tells n at COM1.
; DRIVER is the file that knows how: it has `begin`, `write` (BUFFER to sector EAX) and `flush`,
; which keep EBX and stay where they are after an error.
        bits 16
        org 0x7C00

COM1    equ 0x3F8
STATUS  equ COM1 + 5
BUFFER  equ 0x8000

        cli
        xor ax, ax
        mov ds, ax
        mov es, ax
        mov ss, ax
        mov sp, 0x7C00
        cld
        call begin
        xor ebx, ebx            ; n

next:   mov eax, ebx
        mov di, BUFFER
        mov cx, 128
        rep stosd
        imul eax, ebx, 40503
        and eax, 0x3FFF
        add eax, 64
        call write

        inc ebx
        test bl, 7
        jnz next
        call flush
        mov ecx, ebx
        mov si, 4
.tell:  mov dx, STATUS
        in al, dx
        test al, 0x20           ; room for a byte
        jz .tell
        mov dx, COM1
        mov al, cl
        out dx, al
        shr ecx, 8
        dec si
        jnz .tell
        jmp next

%include DRIVER

        times 510 - ($ - $$) db 0
        dw 0xAA55
