#pragma once
// How many instructions of the kernel one event of each kind executes. Each path is named once: the
// name is the member's, and that of the number in a profile's group "path".

#include <array>
#include <cstdint>
#include <string_view>

namespace kpksim::kernel {

// In the order in which a profile is read and listed. The formatter would make stairs of the lines.
// clang-format off
#define KPKSIM_PATHS(X)                                                                          \
  /* System calls, and what they read and write */                                               \
  X(syscall) X(sve_discard) X(small_call) X(signal_mask) X(path_walk) X(path_component)          \
  X(path_absent) X(stat) X(open_file) X(read_data) X(read_page) X(write_data) X(write_page)      \
  X(copy_line) X(open_pipe) X(pipe_data) X(pipe_page) X(socket_data) X(poll) X(signal)           \
  X(random_data) X(random_block) X(set_cred) X(punch_hole) X(truncate)                           \
  /* Page faults */                                                                              \
  X(fault) X(anon_fault) X(zero_fault) X(file_fault) X(map_file_page) X(file_mapped)             \
  X(cache_page) X(drop_page) X(cow_copy) X(cow_zero) X(cow_file) X(cow_reuse) X(large_fault)     \
  X(clear_page) X(collapse_page) X(split_huge) X(split_folio_page) X(grow_stack)                 \
  X(convert_run)                                                                                 \
  /* Memory calls */                                                                             \
  X(mmap) X(munmap) X(munmap_vma) X(mprotect) X(mremap) X(brk) X(vma_split) X(vma_merge)         \
  X(maple_node) X(maple_reshape) X(madvise) X(zap_folio) X(zap_rmap) X(zap_page) X(zap_file)     \
  X(zap_none) X(free_folio) X(free_bulk) X(free_small) X(free_large) X(free_huge)                \
  X(free_tables) X(protect_page) X(protect_none) X(protect_huge) X(protect_writable)             \
  X(lazy_free_page) X(populate_page) X(mlock) X(mlock_page) X(munlock_page) X(page_out)          \
  X(page_out_try) X(page_out_unmap) X(cold_folio) X(cold_page) X(cold_huge) X(move_page)         \
  X(move_table) X(move_huge) X(lazy_free_huge) X(pmd_none) X(table)                              \
  /* Reserved huge pages */                                                                      \
  X(hugetlb_mmap) X(hugetlb_fault) X(hugetlb_present) X(hugetlb_write) X(hugetlb_cow)            \
  X(hugetlb_add) X(hugetlb_clear_page) X(hugetlb_copy_page) X(hugetlb_entry) X(hugetlb_fork)     \
  X(hugetlb_zap) X(hugetlb_protect) X(hugetlb_move) X(hugetlb_follow) X(hugetlb_drop)            \
  /* Tasks */                                                                                    \
  X(fork) X(fork_vma) X(fork_huge) X(fork_folio) X(fork_page) X(thread) X(exec) X(exit)          \
  X(unlink_anon_vma) X(wait) X(context_switch) X(wake_dequeued)                                  \
  /* Kernel memory, lazy MMU sections, time */                                                   \
  X(vmalloc) X(vmalloc_page) X(vmalloc_run_page) X(vm_map_ram) X(section) X(section_open)        \
  X(fault_section) X(fault_section_open) X(zap_section_open) X(protect_section_open)             \
  X(vmalloc_section_open) X(lazy_section) X(set_memory_pkey) X(timer) X(kernel_thread)
// clang-format on

struct PathLengths {
#define KPKSIM_MEMBER(name) std::uint64_t name;
  KPKSIM_PATHS(KPKSIM_MEMBER)
#undef KPKSIM_MEMBER
};

struct PathInfo {
  std::string_view name;
  std::uint64_t PathLengths::*member;
};
#define KPKSIM_INFO(name) PathInfo{#name, &PathLengths::name},
inline constexpr auto kPaths = std::to_array({KPKSIM_PATHS(KPKSIM_INFO)});
#undef KPKSIM_INFO
#undef KPKSIM_PATHS

}  // namespace kpksim::kernel
