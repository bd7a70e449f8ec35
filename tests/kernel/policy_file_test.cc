// Policies by name in a file: what is read, and what is said of mistakes.

#include "sim/kernel/policy_file.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "sim/base/error.h"
#include "tests/scratch.h"

namespace kpksim::kernel {
namespace {

class PolicyFile : public testing::Test {
 protected:
  std::string write(const std::string& text) {
    std::ofstream(path_) << text;
    return path_;
  }
  std::string refusal(const std::string& text) {
    try {
      read_policies(write(text));
    } catch (const InputError& e) {
      return e.what();
    }
    return "";
  }
  void TearDown() override { std::filesystem::remove(path_); }

  const std::string path_ = kpksim::test::scratch_file("policies.json");
};

TEST_F(PolicyFile, HasPartsAsNamesOrObjects) {
  const auto policies = read_policies(write(R"({"policies": [
    {"name": "base", "protection": "none", "allocator": "buddy", "linear_map": "block"},
    {"name": "v6", "protection": {"name": "kpkeys-poe", "series": "v6"}, "window": "lazy",
     "allocator": {"name": "pba", "reserve": 8, "orders": [9, 2]}, "linear_map": "block"}]})"));
  ASSERT_EQ(policies.size(), 2u);
  EXPECT_EQ(policies[0].name, "base");
  EXPECT_EQ(text_of(policies[0].policy), "none,buddy,block");
  EXPECT_EQ(text_of(policies[1].policy),
            "kpkeys-poe+lazy:series=v6,pba:orders=9/2:reserve=8,block");
}

TEST_F(PolicyFile, MistakesAreToldWithLineAndColumn) {
  const std::string good =
      R"({"name": "a", "protection": "none", "allocator": "buddy", "linear_map": "pte"})";
  EXPECT_NE(refusal("{\"policies\": [" + good + ",\n" + good + "]}")
                .find(":2:10: /policies/1/name: the name 'a' is given twice"),
            std::string::npos);
  EXPECT_NE(refusal(R"({"policies": [
    {"name": "a", "protection": "none", "allocator": "pba", "linear_map": "block"}]})")
                .find(":2:5: /policies/0: allocator 'pba' marks pages"),
            std::string::npos);
  EXPECT_NE(refusal(R"({"policies": [
    {"name": "a", "protection": "none", "alocator": "pba", "linear_map": "block"}]})")
                .find("did you mean 'allocator'"),
            std::string::npos);
  EXPECT_NE(refusal(R"({"policies": [
    {"name": "a", "protection": {"name": "kpkeys-poe", "series": "v10"}, "allocator": "buddy",
     "linear_map": "pte"}]})")
                .find("'v10' is none of"),
            std::string::npos);
}

}  // namespace
}  // namespace kpksim::kernel
