; The driver of writer.asm for a virtio disk, one request at a time, without interrupts.
; Source: Virtual I/O Device Version 1.1, sections 2.6, 4.1.4.8 (legacy) and 5.2.6.

FEATURES equ 4                  ; ports of the device
QUEUE   equ 8
STATE   equ 18
NOTIFY  equ 16

DISK    equ 0x7E00              ; where its ports are
HEADER  equ 0x7E10              ; type (WRITES or FLUSHES), reserved, sector
RESULT  equ 0x7E20
WRITES  equ 1
FLUSHES equ 4

ENTRIES equ 256                 ; of the queue
RING    equ 0x9000              ; its descriptors: header, data, result
AVAILABLE equ RING + 16 * ENTRIES
USED    equ RING + 0x2000
NEXT    equ 1                   ; flags of a descriptor
FILLED  equ 2                   ; by the device

begin:  mov ax, 0xB102          ; PCI BIOS: find a device
        mov cx, 0x1001
        mov dx, 0x1AF4
        xor si, si
        int 0x1A
        mov ax, 0xB109          ; read a word
        mov di, 0x10            ; BAR 0
        int 0x1A
        cli
        and cl, 0xFC
        mov [DISK], cx

        mov di, RING
        mov cx, 0x3000 / 2
        xor ax, ax
        rep stosw
        mov si, descriptors
        mov di, RING
        mov cx, 3 * 16 / 2
        rep movsw
        mov byte [AVAILABLE], 1 ; no interrupts

        mov si, STATE
        mov al, 0               ; reset
        call set_state
        mov al, 3               ; a driver is here
        call set_state
        mov dx, [DISK]
        add dx, FEATURES
        mov eax, 1 << 9         ; flushes
        out dx, eax
        add dx, QUEUE - FEATURES
        mov eax, RING >> 12
        out dx, eax
        mov al, 7               ; the driver is ready
set_state:
        mov dx, [DISK]
        add dx, si
        out dx, al
        ret

write:  mov [HEADER + 8], eax
        mov al, WRITES
        mov cl, 1               ; the data follow the header
        jmp request
flush:  mov dword [HEADER + 8], 0
        mov al, FLUSHES
        mov cl, 2
request:
        mov [HEADER], al
        mov [RING + 14], cl
        mov byte [RESULT], 0xFF
        inc word [AVAILABLE + 2]
        mov dx, [DISK]
        add dx, NOTIFY
        xor ax, ax
        out dx, ax
.wait:  mov ax, [USED + 2]
        cmp ax, [AVAILABLE + 2]
        jne .wait
        cmp byte [RESULT], 0
        jne $
        ret

descriptors:
        dd HEADER, 0, 16
        dw NEXT, 1
        dd BUFFER, 0, 512
        dw NEXT, 2
        dd RESULT, 0, 1
        dw FILLED, 0
