// Claims about calls that change no mapping: what they execute.

#include "sim/kernel/call.h"

#include <gtest/gtest.h>

#include "sim/kernel/cause.h"
#include "tests/kernel/fixture.h"

namespace kpksim::kernel {
namespace {

std::uint64_t length(const Call& call) { return instructions_of(call, kernel_profile().path); }

TEST(Call, APathCostsByItsComponents_AndMoreWhenTheLastIsAbsent) {
  const PathLengths& path = kernel_profile().path;
  const Call one{.kind = CallKind::kLookup, .components = 1};
  const Call five{.kind = CallKind::kLookup, .components = 5};
  const Call none{.kind = CallKind::kLookup, .absent = true, .components = 1};
  EXPECT_EQ(length(one), path.path_walk + path.path_component);
  EXPECT_EQ(length(five), length(one) + 4 * path.path_component);
  EXPECT_EQ(length(none), length(one) + path.path_absent);
}

TEST(Call, DataCostsByThePageAndByTheByte) {
  const PathLengths& path = kernel_profile().path;
  const auto read = [](std::uint64_t bytes) {
    return Call{.kind = CallKind::kRead, .bytes = bytes};
  };
  EXPECT_EQ(length(read(0)), path.read_data);
  EXPECT_EQ(length(read(kPageSize)), path.read_data + 64 * path.copy_line);
  EXPECT_EQ(length(read(1)), path.read_data + path.copy_line);
  EXPECT_EQ(length(read(4 * kPageSize)),
            path.read_data + 3 * path.read_page + 256 * path.copy_line);
}

TEST(Call, APageThatAFileDidNotHaveIsMade) {
  const PathLengths& path = kernel_profile().path;
  const Call there{.kind = CallKind::kWrite, .bytes = kPageSize};
  Call made = there;
  made.new_pages = 1;
  EXPECT_EQ(length(made), length(there) + path.cache_page - path.clear_page);
}

TEST(Call, TheKernelExecutesIt) {
  Kernel k(core_profile(), kernel_profile(), config("none", false, "buddy", Granularity::kPte));
  k.spawn(1);
  const auto total = [&] {
    const auto& count = k.system().machine.core(0).counters().count;
    return count[static_cast<std::size_t>(cpu::Event::kInstruction)]
                [static_cast<std::size_t>(Cause::kSyscall)];
  };
  const auto executed = [&](const Call& call) {
    const std::uint64_t before = total();
    k.system_call(1, call);
    return total() - before;
  };
  const std::uint64_t entry = executed({});
  const Call poll{.kind = CallKind::kPoll};
  EXPECT_EQ(executed(poll), entry + length(poll));
}

}  // namespace
}  // namespace kpksim::kernel
