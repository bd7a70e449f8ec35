#pragma once
// A kernel profile: in what one Linux version differs from another, and how many instructions its
// paths execute. Read from JSON in which each figure carries its source. Immutable once built.

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "sim/base/profile_reader.h"

namespace kpksim::kernel {

enum class HugePages : std::uint8_t { kNever, kMadvise, kAlways };

// Instructions of the kernel for one event of each kind.
struct PathLengths {
  std::uint64_t syscall, sve_discard, small_call, signal_mask, path_walk, path_component,
      path_absent, stat, open_file, read_data, read_page, write_data, write_page, copy_line,
      open_pipe, pipe_data, pipe_page, socket_data, poll, signal, random_data, random_block,
      punch_hole, truncate;
  std::uint64_t fault, anon_fault, zero_fault, file_fault, map_file_page, file_mapped, cache_page,
      drop_page, cow_copy, cow_zero, cow_file, cow_reuse, large_fault, clear_page, collapse_page,
      split_huge, split_folio_page, grow_stack, convert_run;
  std::uint64_t mmap, munmap, munmap_vma, mprotect, mremap, brk, vma_split, vma_merge, maple_node,
      maple_reshape, madvise, zap_folio, zap_rmap, zap_page, zap_file, zap_none, free_folio,
      free_bulk, free_small, free_large, free_huge, free_tables, protect_page, protect_none,
      protect_huge, protect_writable, lazy_free_page, populate_page, mlock, mlock_page, cold_folio,
      cold_page, cold_huge, move_page, move_table, move_huge, lazy_free_huge, pmd_none, table;
  std::uint64_t hugetlb_mmap, hugetlb_fault, hugetlb_present, hugetlb_write, hugetlb_cow,
      hugetlb_add, hugetlb_clear_page, hugetlb_copy_page, hugetlb_entry, hugetlb_fork, hugetlb_zap,
      hugetlb_protect, hugetlb_move, hugetlb_follow, hugetlb_drop, munlock_page, page_out,
      page_out_try, page_out_unmap;
  std::uint64_t fork, fork_vma, fork_huge, fork_folio, fork_page, thread, exec, exit,
      unlink_anon_vma, wait, context_switch, wake_dequeued;
  std::uint64_t vmalloc, vmalloc_page, vmalloc_run_page, vm_map_ram, section, section_open,
      fault_section, fault_section_open, zap_section_open, protect_section_open,
      vmalloc_section_open, lazy_section, set_memory_pkey, timer, kernel_thread;
};
struct PathInfo {
  std::string_view name;
  std::uint64_t PathLengths::*member;
};
inline constexpr auto kPaths = std::to_array<PathInfo>({
    {"syscall", &PathLengths::syscall},
    {"sve_discard", &PathLengths::sve_discard},
    {"small_call", &PathLengths::small_call},
    {"signal_mask", &PathLengths::signal_mask},
    {"path_walk", &PathLengths::path_walk},
    {"path_component", &PathLengths::path_component},
    {"path_absent", &PathLengths::path_absent},
    {"stat", &PathLengths::stat},
    {"open_file", &PathLengths::open_file},
    {"read_data", &PathLengths::read_data},
    {"read_page", &PathLengths::read_page},
    {"write_data", &PathLengths::write_data},
    {"write_page", &PathLengths::write_page},
    {"copy_line", &PathLengths::copy_line},
    {"open_pipe", &PathLengths::open_pipe},
    {"pipe_data", &PathLengths::pipe_data},
    {"pipe_page", &PathLengths::pipe_page},
    {"socket_data", &PathLengths::socket_data},
    {"poll", &PathLengths::poll},
    {"signal", &PathLengths::signal},
    {"random_data", &PathLengths::random_data},
    {"random_block", &PathLengths::random_block},
    {"punch_hole", &PathLengths::punch_hole},
    {"truncate", &PathLengths::truncate},
    {"fault", &PathLengths::fault},
    {"anon_fault", &PathLengths::anon_fault},
    {"zero_fault", &PathLengths::zero_fault},
    {"file_fault", &PathLengths::file_fault},
    {"map_file_page", &PathLengths::map_file_page},
    {"file_mapped", &PathLengths::file_mapped},
    {"cache_page", &PathLengths::cache_page},
    {"drop_page", &PathLengths::drop_page},
    {"cow_copy", &PathLengths::cow_copy},
    {"cow_zero", &PathLengths::cow_zero},
    {"cow_file", &PathLengths::cow_file},
    {"cow_reuse", &PathLengths::cow_reuse},
    {"large_fault", &PathLengths::large_fault},
    {"clear_page", &PathLengths::clear_page},
    {"collapse_page", &PathLengths::collapse_page},
    {"split_huge", &PathLengths::split_huge},
    {"split_folio_page", &PathLengths::split_folio_page},
    {"grow_stack", &PathLengths::grow_stack},
    {"convert_run", &PathLengths::convert_run},
    {"mmap", &PathLengths::mmap},
    {"munmap", &PathLengths::munmap},
    {"munmap_vma", &PathLengths::munmap_vma},
    {"mprotect", &PathLengths::mprotect},
    {"mremap", &PathLengths::mremap},
    {"brk", &PathLengths::brk},
    {"vma_split", &PathLengths::vma_split},
    {"vma_merge", &PathLengths::vma_merge},
    {"maple_node", &PathLengths::maple_node},
    {"maple_reshape", &PathLengths::maple_reshape},
    {"madvise", &PathLengths::madvise},
    {"zap_folio", &PathLengths::zap_folio},
    {"zap_rmap", &PathLengths::zap_rmap},
    {"zap_page", &PathLengths::zap_page},
    {"zap_file", &PathLengths::zap_file},
    {"zap_none", &PathLengths::zap_none},
    {"free_folio", &PathLengths::free_folio},
    {"free_bulk", &PathLengths::free_bulk},
    {"free_small", &PathLengths::free_small},
    {"free_large", &PathLengths::free_large},
    {"free_huge", &PathLengths::free_huge},
    {"free_tables", &PathLengths::free_tables},
    {"protect_page", &PathLengths::protect_page},
    {"protect_none", &PathLengths::protect_none},
    {"protect_huge", &PathLengths::protect_huge},
    {"protect_writable", &PathLengths::protect_writable},
    {"lazy_free_page", &PathLengths::lazy_free_page},
    {"populate_page", &PathLengths::populate_page},
    {"mlock", &PathLengths::mlock},
    {"mlock_page", &PathLengths::mlock_page},
    {"munlock_page", &PathLengths::munlock_page},
    {"page_out", &PathLengths::page_out},
    {"page_out_try", &PathLengths::page_out_try},
    {"page_out_unmap", &PathLengths::page_out_unmap},
    {"cold_folio", &PathLengths::cold_folio},
    {"cold_page", &PathLengths::cold_page},
    {"cold_huge", &PathLengths::cold_huge},
    {"move_page", &PathLengths::move_page},
    {"move_table", &PathLengths::move_table},
    {"move_huge", &PathLengths::move_huge},
    {"lazy_free_huge", &PathLengths::lazy_free_huge},
    {"pmd_none", &PathLengths::pmd_none},
    {"table", &PathLengths::table},
    {"hugetlb_mmap", &PathLengths::hugetlb_mmap},
    {"hugetlb_fault", &PathLengths::hugetlb_fault},
    {"hugetlb_present", &PathLengths::hugetlb_present},
    {"hugetlb_write", &PathLengths::hugetlb_write},
    {"hugetlb_cow", &PathLengths::hugetlb_cow},
    {"hugetlb_add", &PathLengths::hugetlb_add},
    {"hugetlb_clear_page", &PathLengths::hugetlb_clear_page},
    {"hugetlb_copy_page", &PathLengths::hugetlb_copy_page},
    {"hugetlb_entry", &PathLengths::hugetlb_entry},
    {"hugetlb_fork", &PathLengths::hugetlb_fork},
    {"hugetlb_zap", &PathLengths::hugetlb_zap},
    {"hugetlb_protect", &PathLengths::hugetlb_protect},
    {"hugetlb_move", &PathLengths::hugetlb_move},
    {"hugetlb_follow", &PathLengths::hugetlb_follow},
    {"hugetlb_drop", &PathLengths::hugetlb_drop},
    {"fork", &PathLengths::fork},
    {"fork_vma", &PathLengths::fork_vma},
    {"fork_huge", &PathLengths::fork_huge},
    {"fork_folio", &PathLengths::fork_folio},
    {"fork_page", &PathLengths::fork_page},
    {"thread", &PathLengths::thread},
    {"exec", &PathLengths::exec},
    {"exit", &PathLengths::exit},
    {"unlink_anon_vma", &PathLengths::unlink_anon_vma},
    {"wait", &PathLengths::wait},
    {"context_switch", &PathLengths::context_switch},
    {"wake_dequeued", &PathLengths::wake_dequeued},
    {"vmalloc", &PathLengths::vmalloc},
    {"vmalloc_page", &PathLengths::vmalloc_page},
    {"vmalloc_run_page", &PathLengths::vmalloc_run_page},
    {"vm_map_ram", &PathLengths::vm_map_ram},
    {"section", &PathLengths::section},
    {"section_open", &PathLengths::section_open},
    {"fault_section", &PathLengths::fault_section},
    {"fault_section_open", &PathLengths::fault_section_open},
    {"zap_section_open", &PathLengths::zap_section_open},
    {"protect_section_open", &PathLengths::protect_section_open},
    {"vmalloc_section_open", &PathLengths::vmalloc_section_open},
    {"lazy_section", &PathLengths::lazy_section},
    {"set_memory_pkey", &PathLengths::set_memory_pkey},
    {"timer", &PathLengths::timer},
    {"kernel_thread", &PathLengths::kernel_thread},
});

struct KernelProfile {
  std::string name;
  std::string description;
  bool lazy_barriers = false;  // DSB and ISB of kernel mappings wait for the lazy section's end
  bool vmalloc_lazy = false;   // vmalloc's loops over entries are lazy MMU sections
  bool vmalloc_contiguous = false;     // huge vmalloc maps 64 KB runs with the contiguous bit
  bool kernel_range_tlbi = false;      // flush_tlb_kernel_range() as flush_tlb_range() (6.13)
  bool switch_reads_register = false;  // a context switch saves POR_EL1, fork copies it
  bool guard_pages = false;            // madvise() knows MADV_GUARD_INSTALL and _REMOVE
  HugePages huge_pages = HugePages::kAlways;     // /sys/kernel/mm/transparent_hugepage/enabled
  unsigned fault_around_pages = 16;              // a power of two
  std::uint64_t switch_milli_isb = 3650;         // ISB / 1000 of a context switch, on average
  std::uint64_t thread_switch_milli_isb = 2200;  // of one from or to a kernel thread
  std::uint64_t wake_milli_isb = 2700;           // and those of its wake-up
  std::uint64_t dequeued_milli_isb = 1400;       // more where the task had left the run queue
  unsigned switch_mm_isb = 2;                    // and those of a switch to another address space
  unsigned task_isb = 5;                         // ISB of a task's creation and end
  std::uint64_t timer_milli_isb = 10300;         // those of a timer interrupt
  unsigned background_ticks = 40;         // every so many a kernel thread runs that no call woke
  unsigned timer_instructions = 1000000;  // from one timer interrupt to the next
  unsigned process_pages = 24;  // unmovable pages that a process takes for task, mm, VMAs, files
  unsigned free_list_pages = 24576;  // that a core's own lists of free pages hold
  unsigned vmalloc_boot_pages = 0;   // of vmalloc's addresses, below the kernel threads' stacks
  unsigned kernel_threads = 0;       // that boot has started
  PathLengths path{};
  std::vector<ProfileEntry> entries;  // every number with its source
};

// Reads `path`. `bases`: the folder of the profiles that it may be based on, else its own.
// InputError names the file and the JSON pointer.
KernelProfile read_kernel_profile(const std::string& path, const std::string& bases = "");

}  // namespace kpksim::kernel
