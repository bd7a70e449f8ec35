#pragma once
// A kernel profile: in what one Linux version differs from another, and how many instructions its
// paths execute. Read from JSON in which each figure carries its source. Immutable once built.

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace kpksim::kernel {

enum class HugePages : std::uint8_t { kNever, kMadvise, kAlways };

// Instructions of the kernel for one event of each kind.
struct PathLengths {
  std::uint64_t syscall, file_call, fault, anon_fault, file_fault, map_file_page, cow_copy,
      cow_reuse, huge_fault;
  std::uint64_t vma_call, madvise, zap_folio, zap_page, free_folio, free_huge, protect_page,
      protect_writable, move_page, table;
  std::uint64_t fork, fork_vma, fork_folio, fork_page, thread, exec, exit, wait, context_switch;
  std::uint64_t vmalloc, vmalloc_page, vm_map_ram, section, section_open, set_memory_pkey;
};
struct PathInfo {
  std::string_view name;
  std::uint64_t PathLengths::*member;
};
inline constexpr std::array<PathInfo, 34> kPaths = {{
    {"syscall", &PathLengths::syscall},
    {"file_call", &PathLengths::file_call},
    {"fault", &PathLengths::fault},
    {"anon_fault", &PathLengths::anon_fault},
    {"file_fault", &PathLengths::file_fault},
    {"map_file_page", &PathLengths::map_file_page},
    {"cow_copy", &PathLengths::cow_copy},
    {"cow_reuse", &PathLengths::cow_reuse},
    {"huge_fault", &PathLengths::huge_fault},
    {"vma_call", &PathLengths::vma_call},
    {"madvise", &PathLengths::madvise},
    {"zap_folio", &PathLengths::zap_folio},
    {"zap_page", &PathLengths::zap_page},
    {"free_folio", &PathLengths::free_folio},
    {"free_huge", &PathLengths::free_huge},
    {"protect_page", &PathLengths::protect_page},
    {"protect_writable", &PathLengths::protect_writable},
    {"move_page", &PathLengths::move_page},
    {"table", &PathLengths::table},
    {"fork", &PathLengths::fork},
    {"fork_vma", &PathLengths::fork_vma},
    {"fork_folio", &PathLengths::fork_folio},
    {"fork_page", &PathLengths::fork_page},
    {"thread", &PathLengths::thread},
    {"exec", &PathLengths::exec},
    {"exit", &PathLengths::exit},
    {"wait", &PathLengths::wait},
    {"context_switch", &PathLengths::context_switch},
    {"vmalloc", &PathLengths::vmalloc},
    {"vmalloc_page", &PathLengths::vmalloc_page},
    {"vm_map_ram", &PathLengths::vm_map_ram},
    {"section", &PathLengths::section},
    {"section_open", &PathLengths::section_open},
    {"set_memory_pkey", &PathLengths::set_memory_pkey},
}};

struct KernelProfile {
  std::string name;
  std::string description;
  bool lazy_barriers = false;  // DSB and ISB of kernel mappings wait for the lazy section's end
  bool vmalloc_lazy = false;   // vmalloc's loops over entries are lazy MMU sections
  bool vmalloc_contiguous = false;       // huge vmalloc maps 64 KB runs with the contiguous bit
  bool kernel_range_tlbi = false;        // flush_tlb_kernel_range() uses range operations
  bool skip_unchanged_register = false;  // a guard that would not change POR_EL1 does not write it
  HugePages huge_pages = HugePages::kAlways;  // /sys/kernel/mm/transparent_hugepage/enabled
  unsigned fault_around_pages = 16;           // a power of two
  std::uint64_t switch_milli_isb = 3650;      // ISB / 1000 of a context switch, on average
  unsigned switch_mm_isb = 2;                 // and those of a switch to another address space
  unsigned process_pages = 24;  // unmovable pages that a process takes for task, mm, VMAs, files
  PathLengths path{};
};

// Reads `path`. InputError names the file and the JSON pointer.
KernelProfile read_kernel_profile(const std::string& path);

}  // namespace kpksim::kernel
