#include "sim/kernel/profile.h"

#include <bit>
#include <cmath>
#include <filesystem>

#include "sim/base/profile_reader.h"

namespace kpksim::kernel {

KernelProfile read_kernel_profile(const std::string& path, const std::string& bases) {
  return read_kernel_profile(
      ProfileReader(path, ProfileReader::Ranges::kOptional,
                    bases.empty() ? std::filesystem::path(path).parent_path().string() : bases));
}

KernelProfile read_kernel_profile(ProfileReader in) {
  KernelProfile profile;
  profile.name = in.name();
  profile.description = in.description();
  const auto flag = [&](const char* name) { return in.flag("behaviour", name); };
  profile.lazy_barriers = flag("lazy_barriers");
  profile.vmalloc_lazy = flag("vmalloc_lazy");
  profile.vmalloc_contiguous = flag("vmalloc_contiguous");
  profile.kernel_range_tlbi = flag("kernel_range_tlbi");
  profile.switch_reads_register = flag("switch_reads_register");
  profile.guard_pages = flag("guard_pages");
  profile.huge_pages = static_cast<HugePages>(
      in.choice("behaviour", "transparent_hugepages", {"never", "madvise", "always"}));
  profile.fault_around_pages = in.count("behaviour", "fault_around_pages");
  const auto milli = [&](const char* name) {
    return static_cast<std::uint64_t>(std::llround(in.number("behaviour", name) * 1000));
  };
  profile.switch_milli_isb = milli("switch_isb");
  profile.thread_switch_milli_isb = milli("thread_switch_isb");
  profile.dequeued_milli_isb = milli("dequeued_isb");
  profile.wake_milli_isb = milli("wake_isb");
  profile.switch_mm_isb = in.count("behaviour", "switch_mm_isb");
  profile.task_isb = in.count("behaviour", "task_isb");
  profile.timer_instructions = in.count("behaviour", "timer_instructions");
  profile.background_ticks = in.count("behaviour", "background_ticks");
  profile.timer_milli_isb = milli("timer_isb");
  profile.vmalloc_boot_pages = in.count("behaviour", "vmalloc_boot_pages");
  profile.kernel_threads = in.count("behaviour", "kernel_threads");
  profile.free_list_pages = in.count("behaviour", "free_list_pages");
  profile.process_pages = in.count("behaviour", "process_pages");
  if (!std::has_single_bit(profile.fault_around_pages) || profile.fault_around_pages > 512) {
    in.fail("/behaviour/fault_around_pages/value", "expected a power of two up to 512");
  }
  for (const PathInfo& p : kPaths) {
    profile.path.*p.member =
        static_cast<std::uint64_t>(std::llround(in.number("path", std::string(p.name))));
  }
  in.refuse_unknown();
  profile.entries = in.entries();
  return profile;
}

}  // namespace kpksim::kernel
