// The calls of Linux that change memory or tasks in a way that the model does not have. Each is
// named in the result with how often it was made; what is not here and has no handler either, does
// nothing to page tables.

#include <algorithm>

#include "sim/workload/strace_reader.h"

namespace kpksim::workload {
namespace {

constexpr std::string_view kUnmodelled[] = {
    // Policies and places of pages (NUMA).
    "mbind",
    "migrate_pages",
    "move_pages",
    "set_mempolicy",
    "set_mempolicy_home_node",
    // Mappings of other kinds.
    "map_shadow_stack",
    "memfd_secret",
    "remap_file_pages",
    "subpage_prot",
    "uselib",
    // Faults that a program handles, and memory of other processes.
    "process_madvise",
    "process_mrelease",
    "process_vm_readv",
    "process_vm_writev",
    "ptrace",
    "userfaultfd",
    // Dirty pages that are written back: their entries become read-only.
    "msync",
    // Pages that a pipe takes over.
    "vmsplice",
    // Swapping.
    "swapoff",
    "swapon",
    // Memory of the kernel itself, mapped and protected.
    "bpf",
    "delete_module",
    "finit_module",
    "init_module",
    "kexec_file_load",
    "kexec_load",
    "modify_ldt",
    // Tasks in other name spaces.
    "setns",
    "unshare",
};

}  // namespace

bool StraceReader::lacks_model(std::string_view call) {
  return std::find(std::begin(kUnmodelled), std::end(kUnmodelled), call) != std::end(kUnmodelled);
}

void StraceReader::unmodelled(const StraceLine& line) {
  settle(pid_);
  const bool nothing = line.name == "msync" && line.has(2, "MS_ASYNC");  // since Linux 2.6.19
  if (!nothing) unclear("call without a model: " + line.name);
  syscall();
}

}  // namespace kpksim::workload
