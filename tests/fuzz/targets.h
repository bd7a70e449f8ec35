#pragma once
// What reads people's files, as one function for each kind of file. It may refuse a file by an
// InputError and do nothing else with it: any other exception, a crash, undefined behaviour or a
// hang is a defect. libFuzzer calls them with files that it makes (scripts/fuzz), the suite with
// those that were a finding once (tests/fuzz/corpus/).

#include <string>
#include <string_view>
#include <vector>

namespace kpksim::test {

struct FuzzTarget {
  std::string_view name;
  void (*read)(const std::string& path);  // may throw InputError
};

const std::vector<FuzzTarget>& fuzz_targets();

// False: the file was refused.
bool read_or_refuse(const FuzzTarget& target, const std::string& path);

}  // namespace kpksim::test
