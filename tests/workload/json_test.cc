// Claims about the JSON workload format: what is read from it.

#include "sim/workload/json.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "sim/base/error.h"
#include "sim/workload/schema.h"
#include "tests/paths.h"
#include "tests/workload/json_fixture.h"

namespace kpksim::workload {
namespace {

const std::filesystem::path kWorkloads =
    std::filesystem::path(kpksim::test::source_path("")) / "workloads";

void collect(const std::vector<Step>& steps, std::set<OpKind>& kinds) {
  for (const Step& step : steps) {
    if (step.body.empty()) kinds.insert(step.op.kind);
    collect(step.body, kinds);
  }
}

TEST_F(JsonWorkload, EveryShippedWorkload_IsReadAndNamedAsItsFile) {
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(kWorkloads)) {
    if (entry.path().extension() != ".json" || entry.path().stem() == "schema") continue;
    ++files;
    Workload workload;
    ASSERT_NO_THROW(workload = read_json_workload(entry.path().string())) << entry.path();
    EXPECT_EQ(workload.name, entry.path().stem());
    EXPECT_FALSE(workload.description.empty()) << entry.path();
    EXPECT_FALSE(workload.phases.empty()) << entry.path();
  }
  EXPECT_GE(files, 15);
}

TEST_F(JsonWorkload, BuiltInSchema_IsTheCheckedInFile) {
  std::ifstream file(kWorkloads / "schema.json");
  std::ostringstream text;
  text << file.rdbuf();
  EXPECT_EQ(text.str(), kWorkloadSchema);
}

TEST_F(JsonWorkload, RoundsThatAreNumberedHaveNamesOfTheirOwn) {
  const Workload workload = read_ops(R"({"repeat": 3, "as": "i", "ops": [
    {"op":"spawn","task":"w-{i}"}, {"op":"mmap","task":"w-{i}","region":"{i}{i}","size":"4K"},
    {"repeat": 2, "ops": [{"op":"touch","task":"w-{i}","region":"{i}{i}"}]}]})");
  const std::vector<Step>& rounds = workload.phases[0].steps[0].body;
  ASSERT_EQ(rounds.size(), 9u);
  std::set<TaskId> tasks;
  std::set<RegionId> regions;
  for (std::size_t i = 0; i < rounds.size(); i += 3) {
    tasks.insert(rounds[i].op.task);
    regions.insert(rounds[i + 1].op.region);
    EXPECT_EQ(rounds[i + 2].body[0].op.region, rounds[i + 1].op.region);
    EXPECT_EQ(rounds[i + 2].repeat, 2u);
  }
  EXPECT_EQ(tasks.size(), 3u);
  EXPECT_EQ(regions.size(), 3u);
  EXPECT_NE(error_of(R"({"repeat": 5000, "as": "i", "ops": [{"op":"spawn","task":"{i}"}]})")
                .find("more than 4096 rounds"),
            std::string::npos);
  EXPECT_NE(error_of(R"({"repeat": 2, "as": "i", "ops": [{"op":"spawn","task":"{j}"}]})"),
            "accepted");
}

TEST_F(JsonWorkload, EveryKindOfOperation_CanBeWritten) {
  const Workload workload = read_ops(std::string(kMap) + R"(,
    {"op":"touch","task":"a","region":"heap"}, {"op":"syscall","task":"a"},
    {"op":"stray_store","task":"a","region":"heap","offset":4096,"entry":"pmd"},
    {"op":"mprotect","task":"a","region":"heap","prot":"r"},
    {"op":"madvise","task":"a","region":"heap","advice":"dontneed"},
    {"op":"mremap","task":"a","region":"heap","new_size":"1M"},
    {"op":"munmap","task":"a","region":"heap"}, {"op":"brk","task":"a","region":"b","size":"1M"},
    {"op":"fork","task":"a","child":"b"}, {"op":"clone","task":"a","child":"t"},
    {"op":"switch","task":"b"}, {"op":"migrate","task":"b","core":1}, {"op":"exec","task":"b"}, {"op":"exit","task":"b"},
    {"op":"wait","task":"a","child":"b"}, {"op":"vfork","task":"a","child":"c"},
    {"op":"exit","task":"c"}, {"op":"vmalloc","region":"v","pages":4,"huge":true},
    {"op":"vfree","region":"v"}, {"op":"vm_map_ram","region":"r","pages":4},
    {"op":"vm_unmap_ram","region":"r"}, {"op":"fragment","percent":30}, {"op":"pressure"}, {"op":"idle"},
    {"op":"vm_unmap_aliases"},
    {"op":"unfragment"}, {"op":"hugepages","size":"64K","enabled":"always"},
    {"op":"nr_hugepages","size":"2M","count":4},
    {"op":"mmap","task":"a","region":"f","size":"1M","file":"f","in_memory":true},
    {"op":"mlock","task":"a","region":"f"}, {"op":"munlock","task":"a","region":"f"},
    {"op":"mlockall","task":"a","current":true}, {"op":"munlockall","task":"a"},
    {"op":"punch_hole","task":"a","region":"f","offset":"4K","size":"8K"},
    {"op":"truncate","task":"a","file":"f","size":"100K"}, {"op":"close","task":"a","file":"f"})");
  std::set<OpKind> kinds;
  collect(workload.phases[0].steps, kinds);
  EXPECT_EQ(kinds.size(), static_cast<std::size_t>(OpKind::kUnfragment) + 1);
}

TEST_F(JsonWorkload, EveryIsDoneUpToItsEnd) {
  const std::string every = R"(,
    {"op":"mprotect","task":"a","region":"heap","prot":"r","size":"4K","every":"8K","offset":"4K")";
  const auto places = [&](const std::string& rest) {
    std::vector<std::uint64_t> at;
    const Workload workload = read_ops(kMap + every + rest);
    for (const Step& step : workload.phases[0].steps) {
      if (step.op.kind == OpKind::kMprotect) at.push_back(step.op.address >> 10);
    }
    return at;
  };
  EXPECT_EQ(places(R"(,"end":"24K"})"), (std::vector<std::uint64_t>{4, 12, 20}));
  EXPECT_EQ(places("}").size(), 8u);
  const auto error = [&](const std::string& end) { return error_of(kMap + every + end); };
  EXPECT_EQ(error(R"(,"end":"68K"})"),
            ": /phases/0/ops/2/end: 69632 is beyond the region's 65536 bytes");
  EXPECT_EQ(error(R"(,"end":"4K"})"), ": /phases/0/ops/2/end: nothing lies before it");
  EXPECT_EQ(error_after_map(R"({"op":"mlock","task":"a","region":"heap","end":"4K"})"),
            ": /phases/0/ops/2/end: is where every stops; there is none");
}

TEST_F(JsonWorkload, AMappingMayStayAsItsPagesMove) {
  const Workload workload = read_ops(std::string(kMap) + R"(,
    {"op":"mremap","task":"a","region":"heap","new_size":"64K","new_region":"moved","dont_unmap":true},
    {"op":"touch","task":"a","region":"heap"}, {"op":"touch","task":"a","region":"moved"},
    {"op":"mmap","task":"a","region":"s","size":"64K","shared":true},
    {"op":"mremap","task":"a","region":"s","size":0,"new_size":"16K","new_region":"again"},
    {"op":"touch","task":"a","region":"s"}, {"op":"touch","task":"a","region":"again"})");
  EXPECT_TRUE(workload.phases[0].steps[2].op.dont_unmap);
  EXPECT_EQ(workload.phases[0].steps[6].op.length, 0u);
  const auto error = [&](const std::string& rest) {
    return error_after_map(R"({"op":"mremap","task":"a","region":"heap",)" + rest);
  };
  EXPECT_EQ(error(R"("new_size":"64K","dont_unmap":true})"),
            ": /phases/0/ops/2/region: it stays: give the name of the new_region");
  EXPECT_EQ(error(R"("new_size":"1M","new_region":"n","dont_unmap":true})"),
            ": /phases/0/ops/2/new_size: a mapping that stays cannot get another size as it moves");
}

TEST_F(JsonWorkload, ACallsDataMayLieInARegion) {
  const Workload workload = read_ops(std::string(kMap) + R"(,
    {"op":"syscall","task":"a","call":"read","region":"heap","offset":100,"size":5000},
    {"op":"syscall","task":"a","call":"write","region":"heap","size":5000},
    {"op":"syscall","task":"a","call":"pipe_data","region":"heap","size":5000,"access":"write"})");
  const auto& steps = workload.phases[0].steps;
  EXPECT_EQ(steps[2].op.address, 100u);
  EXPECT_EQ(steps[2].op.length, 5000u);
  EXPECT_TRUE(steps[2].op.write);
  EXPECT_FALSE(steps[3].op.write);
  EXPECT_TRUE(steps[4].op.write);
  EXPECT_TRUE(read_ops(std::string(kMap) + R"(,
    {"op":"syscall","task":"a","call":"getrandom","region":"heap","size":16})")
                  .phases[0]
                  .steps[2]
                  .op.write);
  EXPECT_EQ(error_after_map(R"({"op":"syscall","task":"a","call":"read","region":"heap"})"),
            ": /phases/0/ops/2/region: needs the size of the data");
  EXPECT_EQ(
      error_after_map(R"({"op":"syscall","task":"a","call":"pipe_data","size":9,"region":"heap"})"),
      ": /phases/0/ops/2/region: needs access: read, or write where it is received");
}

TEST_F(JsonWorkload, TheHeapMayShrinkToNothingAndGrowAgain) {
  const std::string grow = R"({"op":"brk","task":"a","region":"b","size":"1M"})";
  const std::string shrink = R"({"op":"brk","task":"a","region":"b","size":"1M","shrink":true})";
  EXPECT_NO_THROW(read_ops(kMap + (", " + grow) + ", " + shrink + ", " + grow +
                           R"(, {"op":"touch","task":"a","region":"b"})"));
  EXPECT_EQ(error_after_map(grow + ", " + shrink + R"(, {"op":"touch","task":"a","region":"b"})"),
            ": /phases/0/ops/4/offset: 0 is beyond the region's 0 bytes");
  EXPECT_EQ(error_after_map(grow + ", " + shrink + ", " + shrink),
            ": /phases/0/ops/4/size: the heap has grown by 0 bytes only");
}

TEST_F(JsonWorkload, OnlyAFileInMemoryIsClosed) {
  const std::string map =
      R"({"op":"mmap","task":"a","region":"f","size":"64K","file":"lib","shared":true}, )";
  EXPECT_EQ(error_after_map(map + R"({"op":"close","task":"a","file":"lib"})"),
            ": /phases/0/ops/3/file: only a file in memory goes with its users");
  EXPECT_EQ(error_after_map(map + R"({"op":"truncate","task":"a","file":"lob","size":0})"),
            ": /phases/0/ops/3/file: no mmap before this is of a file 'lob'; did you mean 'lib'?");
}

TEST_F(JsonWorkload, Names_BecomeIdsInOrderOfFirstAppearance) {
  const Workload workload = read_ops(std::string(kMap) + R"(,
    {"op":"fork","task":"a","child":"z"}, {"op":"mmap","task":"z","region":"file","size":4096,
     "file":"x","offset":"8K","shared":true,"prot":"rx","at":"0x7f0000000000"})");
  const auto& steps = workload.phases[0].steps;
  EXPECT_EQ(steps[1].op.task, 1u);
  EXPECT_EQ(steps[1].op.region, 1u);
  EXPECT_EQ(steps[2].op.child, 2u);
  const Operation& file = steps[3].op;
  EXPECT_EQ(file.region, 2u);
  EXPECT_EQ(file.address, 0x7f0000000000u);
  EXPECT_EQ(file.length, 4096u);
  EXPECT_EQ(file.file_offset, 8192u);
  EXPECT_EQ(file.file_id, 1u);
  EXPECT_TRUE(file.file && file.shared);
  EXPECT_EQ(file.prot, kProtRead | kProtExec);
}

TEST_F(JsonWorkload, AbsentSize_IsTheRestOfTheRegion) {
  const Workload workload = read_ops(std::string(kMap) + R"(,
    {"op":"touch","task":"a","region":"heap","offset":"16K"},
    {"op":"mprotect","task":"a","region":"heap","prot":"none"},
    {"op":"munmap","task":"a","region":"heap"})");
  const auto& steps = workload.phases[0].steps;
  EXPECT_EQ(steps[2].op.address, 16u << 10);
  EXPECT_EQ(steps[2].op.length, 48u << 10);
  EXPECT_EQ(steps[3].op.length, 64u << 10);
  EXPECT_EQ(steps[4].op.length, 64u << 10);
}

TEST_F(JsonWorkload, MmapWithHuge_IsFollowedByMadvise) {
  const Workload workload = read_ops(
      R"({"op":"spawn","task":"a"},
         {"op":"mmap","task":"a","region":"heap","size":"4M","huge":"madvise"})");
  ASSERT_EQ(workload.phases[0].steps.size(), 3u);
  EXPECT_EQ(workload.phases[0].steps[2].op.kind, OpKind::kMadvise);
  EXPECT_EQ(workload.phases[0].steps[2].op.advice, Advice::kHugepage);
  EXPECT_EQ(workload.phases[0].steps[2].op.length, 4u << 20);
}

TEST_F(JsonWorkload, Operations_KnowTheirLine) {
  const Workload workload = read_text(
      "{\"phases\": [{\"name\": \"p\", \"ops\": [\n{\"op\": \"pressure\"},\n\n"
      "{\"repeat\": 2, \"ops\": [\n{\"op\": \"pressure\"}]}]}],\n\"name\": \"t\"}");
  EXPECT_EQ(workload.phases[0].steps[0].op.line, 2u);
  EXPECT_EQ(workload.phases[0].steps[1].body[0].op.line, 5u);
}

TEST_F(JsonWorkload, Repeat_KeepsItsBodyOnce) {
  const Workload workload = read_ops(
      R"({"repeat":100,"ops":[{"op":"vmalloc","region":"v","pages":1},{"op":"vfree","region":"v"}]})");
  EXPECT_EQ(workload.phases[0].steps[0].repeat, 100u);
  EXPECT_EQ(workload.phases[0].steps[0].body.size(), 2u);
}

}  // namespace
}  // namespace kpksim::workload
