#pragma once
// Workloads written as JSON for tests of what is read from them, and of how they are refused.

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <regex>
#include <string>

#include "sim/workload/json.h"
#include "tests/scratch.h"
#include "tests/workload/refusal.h"

namespace kpksim::workload {

class JsonWorkload : public testing::Test {
 protected:
  JsonWorkload() : path_(test::scratch_folder() / "workload.json") {}
  ~JsonWorkload() override { std::filesystem::remove(path_); }

  Workload read_text(const std::string& text) const {
    std::ofstream(path_) << text;
    return read_json_workload(path_.string());
  }
  // A workload of one phase with these comma-separated operations.
  Workload read_ops(const std::string& ops) const {
    return read_text(R"({"name": "t", "phases": [{"name": "p", "ops": [)" + ops + "]}]}");
  }
  // The message that refuses the text, without the name of the file.
  std::string error_of_text(const std::string& text) const {
    return refusal(path_, [&] { read_text(text); });
  }
  // Without line and column, which an error in an operation must have.
  std::string error_of(const std::string& ops) const {
    const std::string what =
        error_of_text(R"({"name": "t", "phases": [{"name": "p", "ops": [)" + ops + "]}]}");
    std::smatch place;
    const bool pointed = std::regex_search(what, place, std::regex("^:[0-9]+:[0-9]+(?=: /)"));
    EXPECT_EQ(pointed, what.find(": /") != std::string::npos) << what;
    return pointed ? place.suffix().str() : what;
  }
  // The same after a process 'a' with the 64 KB region 'heap'.
  std::string error_after_map(const std::string& ops) const {
    return error_of(kMap + (", " + ops));
  }

  static constexpr const char* kMap =
      R"({"op":"spawn","task":"a"}, {"op":"mmap","task":"a","region":"heap","size":"64K"})";

 private:
  std::filesystem::path path_;
};

}  // namespace kpksim::workload
