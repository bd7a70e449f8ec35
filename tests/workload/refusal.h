#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <string>

#include "sim/base/error.h"

namespace kpksim::workload {

// The message with which `read` refuses `file`, without the file's name, which it must begin with;
// "accepted": it does not.
template <class Read>
std::string refusal(const std::filesystem::path& file, Read&& read) {
  try {
    read();
  } catch (const InputError& error) {
    const std::string what = error.what(), name = file.string();
    EXPECT_TRUE(what.starts_with(name + ":")) << what;
    return what.substr(std::min(what.size(), name.size()));
  }
  return "accepted";
}

}  // namespace kpksim::workload
