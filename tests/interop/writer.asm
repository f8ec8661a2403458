; A boot sector that writes for ever to the disk it came from, by PIO: the number n = 0, 1, 2... goes
; into sector 64 + n * 40503 % 16384. After each eighth it flushes, and then tells n at COM1.
        bits 16
        org 0x7C00

DATA    equ 0x1F0
COUNT   equ 0x1F2
COMMAND equ 0x1F7
CONTROL equ 0x3F6
COM1    equ 0x3F8
STATUS  equ COM1 + 5
BUFFER  equ 0x8000

        xor ax, ax
        mov ds, ax
        mov es, ax
        mov ss, ax
        mov sp, 0x7C00
        cld
        mov dx, CONTROL
        mov al, 2               ; no interrupts
        out dx, al
        xor ebx, ebx            ; n

next:   mov eax, ebx
        mov di, BUFFER
        mov cx, 128
        rep stosd

        imul eax, ebx, 40503
        and eax, 0x3FFF
        add eax, 64
        mov dx, COUNT
        push ax
        mov al, 1
        out dx, al
        pop ax
        mov cx, 3
.address:
        inc dx
        out dx, al
        shr eax, 8
        loop .address
        inc dx
        mov al, 0xE0            ; LBA, device 0
        out dx, al
        mov al, 0x30            ; WRITE SECTOR(S)
        call command
        mov si, BUFFER
        mov dx, DATA
        mov cx, 256
        rep outsw
        call wait_ready

        inc ebx
        test bl, 7
        jnz next
        mov al, 0xE7            ; FLUSH CACHE
        call command
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

command:
        mov dx, COMMAND
        out dx, al
wait_ready:
        mov dx, COMMAND
        in al, dx
        test al, 0x80           ; BSY
        jnz wait_ready
        test al, 0x01           ; ERR
        jnz $
        ret

        times 510 - ($ - $$) db 0
        dw 0xAA55
