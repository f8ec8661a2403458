; The driver of writer.asm for the first IDE disk: by PIO, or with -DDMA by the PIIX3's bus master.

DATA    equ 0x1F0
COUNT   equ 0x1F2
COMMAND equ 0x1F7
CONTROL equ 0x3F6
REGIONS equ 0x7E00              ; of memory, for the bus master: one
MASTER  equ 0x7E08              ; where its ports are

begin:  mov dx, CONTROL
        mov al, 2               ; no interrupts
        out dx, al
%ifdef DMA
        mov eax, 0x80000904     ; PCI device 1, function 1: its command register
        call configuration
        in ax, dx
        or al, 5                ; ports, bus master
        out dx, ax
        mov eax, 0x80000920     ; BAR 4
        call configuration
        in ax, dx
        and al, 0xF0
        mov [MASTER], ax
        mov dword [REGIONS], BUFFER
        mov dword [REGIONS + 4], 1 << 31 | 512  ; the last one
        lea dx, [eax + 4]
        mov eax, REGIONS
        out dx, eax
        ret

configuration:
        mov dx, 0xCF8
        out dx, eax
        mov dx, 0xCFC
%endif
        ret

write:  mov dx, COUNT
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
%ifdef DMA
        mov dx, COMMAND
        mov al, 0xCA            ; WRITE DMA
        out dx, al
        mov dx, [MASTER]
        mov al, 1               ; start, from memory
        out dx, al
        mov ah, 0x88            ; BSY, DRQ
        call wait_for
        mov dx, [MASTER]
        mov al, 0
        out dx, al
        ret
%else
        mov al, 0x30            ; WRITE SECTOR(S)
        call command
        mov si, BUFFER
        mov dx, DATA
        mov cx, 256
        rep outsw
        jmp wait_ready
%endif

flush:  mov al, 0xE7            ; FLUSH CACHE
command:
        mov dx, COMMAND
        out dx, al
wait_ready:
        mov ah, 0x80            ; BSY
wait_for:
        mov dx, COMMAND
        in al, dx
        test al, ah
        jnz wait_for
        test al, 0x01           ; ERR
        jnz $
        ret
