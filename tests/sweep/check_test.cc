// kpksim sweep --check: the sanitizer watches each point's run.

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/command_line.h"

namespace kpksim::test {
namespace {

class CheckedSweep : public CommandLine {
 protected:
  CheckedSweep() { write("small.json", kSmallWorkload); }

  // "0 2 0": what the points' totals say.
  std::string findings(const std::string& store) {
    EXPECT_EQ(run("sweep export -f jsonl " + store), 0) << message_;
    std::istringstream lines(printed());
    std::string out;
    for (std::string line; std::getline(lines, line);) {
      out += nlohmann::json::parse(line)["totals"].value("findings", nlohmann::json()).dump() + " ";
    }
    return out;
  }
};

TEST_F(CheckedSweep, HasTheFindingsOfEachPointAndSaysSoAtItsEnd) {
  write("s.json", R"({"name":"s","base":{"workload":"small.json","set":{"machine:/memory":"1G"}},
    "space":[{"grid":{"policy":["none,buddy,pte","kpkeys-poe,per-page,pte"],
                      "machine:/inject":[[],["skip:tlbi.fork-parent"]]}}]})");
  EXPECT_EQ(run("sweep -q s.json"), 0) << message_;
  EXPECT_EQ(findings("s.sqlite"), "null null null null ");
  EXPECT_EQ(run("sweep -q --check -o checked.sqlite s.json"), 1) << message_;
  EXPECT_NE(printed().find("2 of them have findings"), std::string::npos) << printed();
  const std::string found = findings("checked.sqlite");
  std::istringstream numbers(found);
  for (const bool broken : {false, false, true, true}) {
    std::string number;
    numbers >> number;
    EXPECT_EQ(number != "0", broken) << found;
  }
  EXPECT_EQ(run("sweep -q --check -o checked.sqlite s.json"), 1) << "nothing is left to run";
}

TEST_F(CheckedSweep, PointsThatAreCheckedAndOthersAreNotMixed) {
  write("s.json", R"({"name":"s","base":{"workload":"small.json","set":{"machine:/memory":"1G"}},
    "space":[{"grid":{"core:/tlb/l2/sets":[256,512]}}]})");
  ASSERT_EQ(run("sweep -q s.json"), 0) << message_;
  EXPECT_EQ(run("sweep -q --check s.json"), 2);
  EXPECT_NE(message_.find("'--check' is not what it was for the points that are done"),
            std::string::npos)
      << message_;
  ASSERT_EQ(run("sweep -q --check -o checked.sqlite s.json"), 0) << message_;
  EXPECT_NE(printed().find("checked: nothing is wrong"), std::string::npos) << printed();
  EXPECT_EQ(run("sweep -q -o checked.sqlite s.json"), 2);
  EXPECT_NE(message_.find("the points that are done have '--check', which is not given now"),
            std::string::npos)
      << message_;
}

TEST_F(CheckedSweep, PointsWithKeysHaveTheFindingsOfAllTheirRuns) {
  write("k.json", R"({"name":"k",
    "base":{"workload":"small.json","policy":"kpkeys-poe,pba,block","classes":"linux",
            "set":{"machine:/memory":"1G","keys:/strategy":"optimal","keys:/budget":12}},
    "space":[{"grid":{"machine:/inject":[[],["skip:tlbi.fork-parent"]]}}]})");
  EXPECT_EQ(run("sweep -q --check k.json"), 1) << message_;
  const std::string found = findings("k.sqlite");
  EXPECT_EQ(found.find("0 "), 0u) << found;
  EXPECT_GE(std::stoi(found.substr(2)), 3) << "two runs that measure, and its own";
}

}  // namespace
}  // namespace kpksim::test
