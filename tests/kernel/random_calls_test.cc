// Any sequence of memory calls by parents and children: a naive reference (what each process has
// mapped, and how) says which accesses are allowed; no cached translation is ever stale, no entry
// changes size without break before make; and when all have exited, all memory is free again.

#include "tests/kernel/random_calls.h"

namespace kpksim::kernel {
namespace {

Config small(const std::string& protection, const std::string& allocator, Granularity map) {
  Config c = config(protection, protection != "none", allocator, map);
  c.memory_bytes = 256ull << 20;
  return c;
}

void random_calls_run(const Config& config) {
  EXPECT_TRUE(rc::check([&] {
    const auto steps = *rc::gen::container<std::vector<Step>>(step());
    World world(config);
    for (const Step& s : steps) world.execute(s);
    world.end();
  }));
}

TEST(RandomCalls, LeaveNothingStaleAndNothingBehind) {
  random_calls_run(small("none", "buddy", Granularity::kPte));
}

TEST(RandomCalls, NorUnderKeys) {
  random_calls_run(small("kpkeys-poe", "per-page", Granularity::kBlock));
}

}  // namespace
}  // namespace kpksim::kernel
