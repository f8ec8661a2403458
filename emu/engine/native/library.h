/* The functions of libunicorn that the engine calls, found by name in the library at hand. */
#ifndef PYEMU_LIBRARY_H
#define PYEMU_LIBRARY_H

#include "layout.h"

/* FUNCTION(type returned, member of Library, symbol, parameters) */
#define LIBRARY_FUNCTIONS(FUNCTION) \
    FUNCTION(unsigned, version, "uc_version", (unsigned *major, unsigned *minor)) \
    FUNCTION(const char *, strerror, "uc_strerror", (int error)) \
    FUNCTION(int, emu_start, "uc_emu_start", \
             (void *uc, uint64_t begin, uint64_t until, uint64_t timeout, size_t count)) \
    FUNCTION(int, emu_stop, "uc_emu_stop", (void *uc)) \
    FUNCTION(int, hook_add, "uc_hook_add", \
             (void *uc, size_t *handle, int type, void *callback, void *user, uint64_t begin, \
              uint64_t end, ...)) \
    FUNCTION(int, hook_del, "uc_hook_del", (void *uc, size_t handle)) \
    FUNCTION(int, reg_read, "uc_reg_read", (void *uc, int id, void *value)) \
    FUNCTION(int, reg_write, "uc_reg_write", (void *uc, int id, const void *value)) \
    FUNCTION(int, mem_map_ptr, "uc_mem_map_ptr", \
             (void *uc, uint64_t address, uint64_t size, uint32_t rights, void *host)) \
    FUNCTION(int, mmio_map, "uc_mmio_map", \
             (void *uc, uint64_t address, uint64_t size, \
              uint64_t (*read)(void *, uint64_t, unsigned, void *), void *read_user, \
              void (*write)(void *, uint64_t, unsigned, uint64_t, void *), void *write_user)) \
    FUNCTION(int, mem_unmap, "uc_mem_unmap", (void *uc, uint64_t address, uint64_t size)) \
    FUNCTION(int, mem_protect, "uc_mem_protect", \
             (void *uc, uint64_t address, uint64_t size, uint32_t rights)) \
    FUNCTION(void, do_interrupt, "x86_cpu_do_interrupt_x86_64", (Cpu *)) \
    FUNCTION(void, do_hardirq, "do_interrupt_x86_hardirq_x86_64", \
             (Env *, int vector, int is_hardware)) \
    FUNCTION(uint32_t, compute_flags, "helper_cc_compute_all_x86_64", \
             (uint64_t dst, uint64_t src1, uint64_t src2, int op)) \
    FUNCTION(void, raise_exception, "raise_exception_x86_64", (Env *, int vector)) \
    FUNCTION(void, raise_exception_error, "raise_exception_err_x86_64", \
             (Env *, int vector, int error_code)) \
    FUNCTION(void, raise_exception_from, "raise_exception_err_ra_x86_64", \
             (Env *, int vector, int error_code, uintptr_t return_address)) \
    FUNCTION(void, check_io8, "helper_check_iob_x86_64", (Env *, uint32_t port)) \
    FUNCTION(void, check_io16, "helper_check_iow_x86_64", (Env *, uint32_t port)) \
    FUNCTION(void, check_io32, "helper_check_iol_x86_64", (Env *, uint32_t port)) \
    FUNCTION(void *, gen_code, "tb_gen_code_x86_64", \
             (Cpu *, uint64_t pc, uint64_t cs_base, uint32_t flags, int cflags)) \
    FUNCTION(void, loop_exit, "cpu_loop_exit_noexc_x86_64", (Cpu *)) \
    FUNCTION(uint32_t, fetch_byte, "cpu_ldub_code_x86_64", (Env *, uint64_t address)) \
    FUNCTION(void, cpuid, "cpu_x86_cpuid_x86_64", \
             (Env *, uint32_t leaf, uint32_t subleaf, uint32_t *eax, uint32_t *ebx, \
              uint32_t *ecx, uint32_t *edx)) \
    FUNCTION(uint64_t, read_control, "helper_read_crN_x86_64", (Env *, int number)) \
    FUNCTION(void, write_control, "helper_write_crN_x86_64", (Env *, int number, uint64_t value)) \
    FUNCTION(void, update_cr0, "cpu_x86_update_cr0_x86_64", (Env *, uint32_t value)) \
    FUNCTION(void, update_cr3, "cpu_x86_update_cr3_x86_64", (Env *, uint64_t value)) \
    FUNCTION(void, update_cr4, "cpu_x86_update_cr4_x86_64", (Env *, uint32_t value)) \
    FUNCTION(uint64_t, get_dr, "helper_get_dr_x86_64", (Env *, int number)) \
    FUNCTION(void, set_dr, "helper_set_dr_x86_64", (Env *, int number, uint64_t value)) \
    FUNCTION(void, fninit, "helper_fninit_x86_64", (Env *)) \
    FUNCTION(void, ldmxcsr, "helper_ldmxcsr_x86_64", (Env *, uint32_t value)) \
    FUNCTION(void, update_mxcsr, "update_mxcsr_status_x86_64", (Env *)) \
    FUNCTION(void, divsd, "helper_divsd_x86_64", (Env *, Xmm *d, const Xmm *s)) \
    FUNCTION(void, set_a20, "x86_cpu_set_a20_x86_64", (Cpu *, int on)) \
    FUNCTION(void, tlb_flush, "tlb_flush_x86_64", (Cpu *)) \
    FUNCTION(void, tlb_flush_page, "tlb_flush_page_x86_64", (Cpu *, uint64_t address)) \
    FUNCTION(void, tb_flush, "tb_flush_x86_64", (Cpu *)) \
    FUNCTION(void, invalidate_code, "tb_invalidate_phys_range_x86_64", \
             (void *uc, uint64_t start, uint64_t end)) \
    FUNCTION(void, flush_tlb, "tlb_flush_by_mmuidx_x86_64", (Cpu *, uint16_t modes)) \
    FUNCTION(void, flush_page, "tb_flush_jmp_cache_x86_64", (Cpu *, uint64_t address)) \
    FUNCTION(uint64_t, page_of_fetch, "get_page_addr_code_x86_64", (Env *, uint64_t address)) \
    FUNCTION(void, rdmsr, "helper_rdmsr_x86_64", (Env *)) \
    FUNCTION(void, wrmsr, "helper_wrmsr_x86_64", (Env *)) \
    FUNCTION(void, rdtsc, "helper_rdtsc_x86_64", (Env *)) \
    FUNCTION(void, rdtscp, "helper_rdtscp_x86_64", (Env *)) \
    FUNCTION(void, syscall, "helper_syscall_x86_64", (Env *, int length)) \
    FUNCTION(void, sysenter, "helper_sysenter_x86_64", (Env *, int length)) \
    FUNCTION(void, iret, "helper_iret_protected_x86_64", (Env *, int shift, int next_ip)) \
    FUNCTION(void, far_ret, "helper_lret_protected_x86_64", (Env *, int shift, int released)) \
    FUNCTION(bool, restore_state, "cpu_restore_state_x86_64", \
             (Cpu *, uintptr_t return_address, bool will_exit)) \
    FUNCTION(void, cpuid_instruction, "helper_cpuid_x86_64", (Env *)) \
    FUNCTION(void *, find_code, "helper_lookup_tb_ptr_x86_64", (Env *)) \
    FUNCTION(void, check_exit_request, "helper_check_exit_request_x86_64", (void *uc, uint32_t)) \
    FUNCTION(void *, temp_new, "tcg_temp_new_internal_x86_64", (Tcg *, int type, bool local)) \
    FUNCTION(void, temp_free, "tcg_temp_free_internal_x86_64", (Tcg *, void *temporary)) \
    FUNCTION(ptrdiff_t, const_i64, "tcg_const_i64_x86_64", (Tcg *, int64_t value)) \
    FUNCTION(void, shift_right_i64, "tcg_gen_shri_i64_x86_64", \
             (Tcg *, ptrdiff_t result, ptrdiff_t, int64_t count)) \
    FUNCTION(void, deposit_i64, "tcg_gen_deposit_i64_x86_64", \
             (Tcg *, ptrdiff_t result, ptrdiff_t, ptrdiff_t inserted, unsigned at, unsigned bits)) \
    FUNCTION(Label *, new_label, "gen_new_label_x86_64", (Tcg *)) \
    FUNCTION(void, branch_i32, "tcg_gen_brcondi_i32_x86_64", \
             (Tcg *, int condition, ptrdiff_t, int32_t, Label *)) \
    FUNCTION(void, op1, "tcg_gen_op1_x86_64", (Tcg *, int opcode, uintptr_t)) \
    FUNCTION(void, op3, "tcg_gen_op3_x86_64", (Tcg *, int opcode, uintptr_t, uintptr_t, uintptr_t)) \
    FUNCTION(TranslationBlock *, new_block, "tcg_tb_alloc_x86_64", (Tcg *)) \
    FUNCTION(void, gen_call, "tcg_gen_callN_x86_64", \
             (Tcg *, void *function, void *result, int count, void **arguments)) \
    FUNCTION(void, gen_exit, "tcg_gen_exit_tb_x86_64", (Tcg *, const TranslationBlock *, unsigned index)) \
    FUNCTION(int, breakpoint_insert, "cpu_breakpoint_insert_x86_64", \
             (Cpu *, uint64_t address, int flags, void **reference)) \
    FUNCTION(void, breakpoint_remove_all, "cpu_breakpoint_remove_all_x86_64", (Cpu *, int mask)) \
    FUNCTION(void, raise_debug, "helper_debug_x86_64", (Env *)) \
    FUNCTION(uint64_t, ram_address, "qemu_ram_addr_from_host_x86_64", (void *uc, void *host)) \
    FUNCTION(uint64_t, physical_page, "x86_cpu_get_phys_page_attrs_debug_x86_64", \
             (Cpu *, uint64_t address, uint32_t *attributes)) \
    FUNCTION(bool, tlb_fill, "x86_cpu_tlb_fill_x86_64", \
             (Cpu *, uint64_t, int, int, int, bool, uintptr_t)) \
    FUNCTION(bool, exec_interrupt, "x86_cpu_exec_interrupt_x86_64", (Cpu *, int request)) \
    FUNCTION(void, breakpoint_handler, "breakpoint_handler_x86_64", (Cpu *)) \
    FUNCTION(void *, find_mapping, "find_memory_mapping_x86_64", (void *uc, uint64_t address))

typedef struct {
    void *handle; /* for dlsym() */
#define FUNCTION(type, member, symbol, parameters) type(*member) parameters;
    LIBRARY_FUNCTIONS(FUNCTION)
#undef FUNCTION
} Library;

/* From unicorn.h and x86.h */
enum {
    UC_HOOK_INTR = 1 << 0,
    UC_HOOK_INSN = 1 << 1,
    UC_HOOK_CODE = 1 << 2,
    UC_HOOK_BLOCK = 1 << 3,
    UC_HOOK_MEM_FETCH_UNMAPPED = 1 << 6,
    UC_HOOK_MEM_WRITE_PROT = 1 << 8,
    UC_HOOK_MEM_FETCH_PROT = 1 << 9,
    UC_HOOK_MEM_READ = 1 << 10,
    UC_HOOK_MEM_WRITE = 1 << 11,
    UC_HOOK_MEM_READ_AFTER = 1 << 13,
    UC_HOOK_EDGE_GENERATED = 1 << 15,
    UC_PROT_READ = 1,
    UC_PROT_EXEC = 4,
    UC_PROT_ALL = 7,
};

#endif
