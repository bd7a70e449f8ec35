// Claims about the JSON workload format: what is read from it, and how bad input is refused.

#include "sim/workload/json.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>

#include "sim/base/error.h"
#include "sim/workload/schema.h"
#include "tests/paths.h"
#include "tests/scratch.h"

namespace kpksim::workload {
namespace {

const std::filesystem::path kWorkloads =
    std::filesystem::path(kpksim::test::source_path("")) / "workloads";

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
    try {
      read_text(text);
    } catch (const InputError& error) {
      const std::string what = error.what();
      EXPECT_TRUE(what.starts_with(path_.string() + ":")) << what;
      return what.substr(std::min(what.size(), path_.string().size()));
    }
    return "accepted";
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

TEST_F(JsonWorkload, BadSize_IsNamedWithItsPointer) {
  EXPECT_EQ(error_of_text(R"({"name":"t","phases":[{"name":"p","ops":[{"op":"spawn","task":"a"},
                             {"op":"mmap","task":"a","region":"heap","size":"64Q"}]}]})"),
            ":2:77: /phases/0/ops/1/size: '64Q' is not a size; use a number with K, M, G or T (or "
            "KiB, MiB, GiB, TiB: powers of 1024)");
}

TEST_F(JsonWorkload, SizesOfNothingTooMuchOrNoWholePages_AreRefused) {
  const auto error = [&](const std::string& size) {
    return error_of(R"({"op":"spawn","task":"a"},{"op":"mmap","task":"a","region":"h","size":)" +
                    size + "}");
  };
  EXPECT_EQ(error("0"), ": /phases/0/ops/1/size: must be more than 0");
  EXPECT_EQ(error("\"129T\""), ": /phases/0/ops/1/size: '129T' is more than 128T");
  EXPECT_EQ(error("\"6143\""), ": /phases/0/ops/1/size: 6143 is not a multiple of 4K");
  EXPECT_EQ(error("-4096"),
            ": /phases/0/ops/1/size: '-4096' is not a size; use a number with K, M, G or T (or "
            "KiB, MiB, GiB, TiB: powers of 1024)");
  EXPECT_EQ(error("true"), ": /phases/0/ops/1/size: expected string or integer, found true");
}

TEST_F(JsonWorkload, MunmapOfWhatIsNotMapped_IsRefused) {
  EXPECT_EQ(error_after_map(R"({"op":"munmap","task":"a","region":"haep"})"),
            ": /phases/0/ops/2/region: region 'haep' is not mapped in task 'a'; did you mean "
            "'heap'?");
  EXPECT_EQ(error_after_map(R"({"repeat":2,"ops":[{"op":"munmap","task":"a","region":"heap"}]})"),
            ": /phases/0/ops/2/ops/0/region: region 'heap' is not mapped in task 'a'");
}

TEST_F(JsonWorkload, TouchBeyondTheRegion_IsRefused) {
  EXPECT_EQ(
      error_after_map(R"({"op":"touch","task":"a","region":"heap","offset":"60K","size":4097})"),
      ": /phases/0/ops/2/size: 4097 bytes from offset 61440 on end beyond the region's 65536 "
      "bytes");
  EXPECT_EQ(error_after_map(R"({"op":"touch","task":"a","region":"heap","offset":"64K"})"),
            ": /phases/0/ops/2/offset: 65536 is beyond the region's 65536 bytes");
}

TEST_F(JsonWorkload, TouchOfAnUnmappedPart_IsRefused) {
  EXPECT_EQ(error_after_map(R"({"op":"munmap","task":"a","region":"heap","offset":"8K","size":"4K"},
                               {"op":"touch","task":"a","region":"heap"})"),
            ": /phases/0/ops/3/region: a part of that range has been unmapped; give offset and "
            "size");
}

TEST_F(JsonWorkload, WaitForNobody_IsRefused) {
  EXPECT_EQ(error_after_map(R"({"op":"wait","task":"a","child":"b"})"),
            ": /phases/0/ops/2/child: task 'a' has no child 'b' to wait for");
  EXPECT_EQ(error_after_map(R"({"op":"fork","task":"a","child":"b"},
                               {"op":"wait","task":"a","child":"b"})"),
            ": /phases/0/ops/3/child: child 'b' has not exited, the wait would never end");
}

TEST_F(JsonWorkload, TasksThatDoNotRun_CannotAct) {
  EXPECT_EQ(error_after_map(R"({"op":"syscall","task":"b"})"),
            ": /phases/0/ops/2/task: there is no task 'b' here; did you mean 'a'?");
  EXPECT_EQ(
      error_after_map(R"({"op":"vfork","task":"a","child":"b"},{"op":"syscall","task":"a"})"),
      ": /phases/0/ops/3/task: task 'a' stands still until its vfork child 'b' execs or exits");
  EXPECT_EQ(error_after_map(R"({"op":"fork","task":"a","child":"b"},{"op":"exit","task":"b"},
                               {"op":"syscall","task":"b"})"),
            ": /phases/0/ops/4/task: task 'b' has exited");
}

TEST_F(JsonWorkload, CallsHaveOnlyWhatTheyUse) {
  const std::string spawn = R"({"op": "spawn", "task": "a"}, )";
  const Workload w =
      read_ops(spawn + R"({"op": "syscall", "task": "a", "call": "read", "size": "4K"})");
  EXPECT_EQ(w.phases[0].steps[1].op.call.bytes, 4096u);
  EXPECT_EQ(error_of(spawn + R"({"op": "syscall", "task": "a", "call": "poll", "size": 1})"),
            ": /phases/0/ops/1/size: this call moves no data");
  EXPECT_EQ(error_of(spawn + R"({"op": "syscall", "task": "a", "call": "read", "components": 1})"),
            ": /phases/0/ops/1/components: this call names no path");
  EXPECT_EQ(error_of(spawn + R"({"op": "syscall", "task": "a", "call": "stat", "absent": true})"),
            ": /phases/0/ops/1/absent: needs components");
}

TEST_F(JsonWorkload, ADescriptorStaysUntilItIsClosed) {
  const auto call = [](const std::string& rest, const char* task = "a") {
    return R"(, {"op": "syscall", "task": ")" + std::string(task) + R"(", "call": )" + rest + "}";
  };
  const std::string spawn = R"({"op": "spawn", "task": "a"})";
  const std::string open = call(R"("open", "components": 1, "descriptor": 3)");
  const std::string close = call(R"("close", "descriptor": 3)");
  const Workload w =
      read_ops(spawn + open + call(R"("pipe", "descriptor": 4)") +
               call(R"("dup", "from": 3, "descriptor": 6, "close_on_exec": true)") + close);
  using Does = kernel::DescriptorUse::Kind;
  const auto use = [&](std::size_t i) { return w.phases[0].steps[i].op.call.descriptors; };
  EXPECT_EQ(use(1).kind, Does::kOpen);
  EXPECT_EQ(use(1).first, 3);
  EXPECT_EQ(use(2).kind, Does::kOpenTwo);
  EXPECT_EQ(use(2).second, 5);
  EXPECT_EQ(use(3).kind, Does::kDuplicate);
  EXPECT_EQ(use(3).second, 6);
  EXPECT_TRUE(use(3).close_on_exec);
  EXPECT_EQ(use(4).kind, Does::kClose);
  EXPECT_EQ(w.phases[0].steps[4].op.call.kind, kernel::CallKind::kSmall);

  const std::string at = ": /phases/0/ops/2/descriptor: ";
  EXPECT_EQ(error_of(spawn + open + open), at + "descriptor 3 of task 'a' is open already");
  EXPECT_EQ(error_of(spawn + open + call(R"("close", "descriptor": 4)")),
            at + "task 'a' has no descriptor 4 that stays");
  EXPECT_EQ(error_of(spawn + open + call(R"("dup", "from": 5, "descriptor": 4)")),
            ": /phases/0/ops/2/from: task 'a' has no descriptor 5 that stays");
  EXPECT_EQ(error_of(spawn + open + call(R"("close")")), at + "this call needs one");
  EXPECT_EQ(error_of(spawn + open + call(R"("stat", "descriptor": 3)")), at + "this call has none");
  EXPECT_EQ(error_of(spawn + open + call(R"("open", "close_on_exec": true)")),
            ": /phases/0/ops/2/close_on_exec: needs a descriptor");
  EXPECT_NE(error_of(spawn + R"(, {"repeat": 2, "ops": [)" + open.substr(2) + "]}")
                .find("is open already"),
            std::string::npos);
  // A child has its own table, a thread its process's; exec closes what says so.
  const std::string fork = R"(, {"op": "fork", "task": "a", "child": "b"})";
  EXPECT_NO_THROW(read_ops(spawn + open + fork + close + call(R"("close", "descriptor": 3)", "b")));
  EXPECT_EQ(error_of(spawn + open + R"(, {"op": "clone", "task": "a", "child": "b"})" + close +
                     call(R"("close", "descriptor": 3)", "b")),
            ": /phases/0/ops/4/descriptor: task 'b' has no descriptor 3 that stays");
  const std::string marked = call(R"("open", "descriptor": 4, "close_on_exec": true)");
  const std::string exec = R"(, {"op": "exec", "task": "a"})";
  EXPECT_NO_THROW(read_ops(spawn + open + marked + exec + close));
  EXPECT_EQ(error_of(spawn + marked + exec + call(R"("close", "descriptor": 4)")),
            ": /phases/0/ops/3/descriptor: task 'a' has no descriptor 4 that stays");
}

TEST_F(JsonWorkload, VfreeWithoutVmalloc_IsRefused) {
  EXPECT_EQ(error_of(R"({"op":"vfree","region":"v"})"),
            ": /phases/0/ops/0/region: there is no vmalloc of region 'v' to free here");
  EXPECT_EQ(error_of(R"({"op":"vm_map_ram","region":"v","pages":1},{"op":"vfree","region":"v"})"),
            ": /phases/0/ops/1/region: there is no vmalloc of region 'v' to free here");
}

TEST_F(JsonWorkload, RepeatThatLeaksItsRegion_IsRefused) {
  EXPECT_EQ(error_of(R"({"repeat":3,"ops":[{"op":"vmalloc","region":"v","pages":1}]})"),
            ": /phases/0/ops/0/ops/0/region: region 'v' is in use by vmalloc");
}

TEST_F(JsonWorkload, RegionThatGrowsWithinARepeat_NeedsExplicitSizes) {
  EXPECT_NE(error_of(R"({"op":"spawn","task":"a"},
                        {"repeat":3,"ops":[{"op":"brk","task":"a","region":"b","size":"4K"},
                                           {"op":"touch","task":"a","region":"b"}]})")
                .find(": /phases/0/ops/1: the region of line "),
            std::string::npos);
}

TEST_F(JsonWorkload, MalformedJson_IsNamedByLineAndColumn) {
  EXPECT_TRUE(error_of_text("{\n  \"name\": \"t\",\n  oops\n}").starts_with(":3:3: not JSON: "))
      << error_of_text("{\n  \"name\": \"t\",\n  oops\n}");
  EXPECT_TRUE(error_of_text("{\"a\": 1e999}").starts_with(":1:"))
      << error_of_text("{\"a\": 1e999}");
  EXPECT_NE(error_of_text(""), "accepted");
}

TEST_F(JsonWorkload, KeyGivenTwice_IsRefused) {
  EXPECT_EQ(error_of_text("{\"name\": \"t\",\n \"name\": \"u\"}"),
            ":2:7: key 'name' is there twice");
}

TEST_F(JsonWorkload, DeepNesting_IsRefusedBeforeItIsFollowed) {
  const std::string error = error_of_text(std::string(200000, '['));
  EXPECT_EQ(error, ":1:33: nested more than 32 levels deep");
  std::string ops = R"({"op":"pressure"})";
  for (int i = 0; i < 9; ++i) ops = R"({"repeat":2,"ops":[)" + ops + "]}";
  EXPECT_NE(error_of(ops).find("more than 8 repeats within each other"), std::string::npos);
}

TEST_F(JsonWorkload, KernelData_IsWhatTheFileSaysAndAbsentWithoutIt) {
  EXPECT_FALSE(read_ops(R"({"op":"spawn","task":"a"})").kernel_data);
  const Workload workload = read_text(
      R"({"name": "t", "seed": 7, "kernel_data": {"working_set": "8M", "accesses_per_call": 3, "page_cache": "1M"},
          "phases": [{"name": "p", "ops": [{"op":"spawn","task":"a"}]}]})");
  const kernel::KernelDataSettings expected{
      .working_set = 8ull << 20, .accesses_per_call = 3, .page_cache = 1ull << 20, .seed = 7};
  EXPECT_EQ(workload.kernel_data, expected);
}

TEST_F(JsonWorkload, UnknownKey_IsNamedWithTheNearest) {
  EXPECT_EQ(error_of(R"({"op":"spawn","task":"a"},
                        {"op":"mmap","task":"a","region":"heap","sise":"64K"})"),
            ": /phases/0/ops/1/sise: unknown key 'sise'; did you mean 'size'?");
  EXPECT_EQ(
      error_of_text(R"({"name":"t","phases":[{"name":"p","ops":[{"op":"pressure"}]}],"sed":1})"),
      ":1:69: /sed: unknown key 'sed'; did you mean 'seed'?");
}

TEST_F(JsonWorkload, UnknownOperationOrValue_IsNamedWithTheNearest) {
  EXPECT_EQ(error_of(R"({"op":"mmpa","task":"a"})"),
            ": /phases/0/ops/0/op: 'mmpa' is not known here; did you mean 'mmap'?");
  EXPECT_EQ(error_after_map(R"({"op":"touch","task":"a","region":"heap","order":"randon"})"),
            ": /phases/0/ops/2/order: 'randon' is not known here; did you mean 'random'?");
}

TEST_F(JsonWorkload, MissingKey_IsNamed) {
  EXPECT_EQ(error_of(R"({"repeat":2,"ops":[{"op":"vfree"}]})"),
            ": /phases/0/ops/0/ops/0: missing key 'region'");
  EXPECT_EQ(error_of(R"({"task":"a"})"), ": /phases/0/ops/0: missing key 'op'");
  EXPECT_EQ(error_of_text("[]"), ":1:1: /: expected object, found []");
}

TEST_F(JsonWorkload, NumbersOutOfRange_AreRefused) {
  for (const char* repeat : {"0", "-1", "1.5", "\"2\"", "18446744073709551615"}) {
    EXPECT_TRUE(error_of(std::string(R"({"ops":[{"op":"pressure"}],"repeat":)") + repeat + "}")
                    .starts_with(": /phases/0/ops/0/repeat: "))
        << repeat;
  }
}

TEST_F(JsonWorkload, BadAddress_IsRefused) {
  for (const char* at : {"4096", "0x", "0x123", "0xfffffffff000", "0x1000000000000", "0x0"}) {
    EXPECT_TRUE(error_of(std::string(R"({"op":"spawn","task":"a"},{"op":"mmap","task":"a",
                        "region":"h","size":"64K","at":")") +
                         at + "\"}")
                    .starts_with(": /phases/0/ops/1/at: "))
        << at;
  }
}

TEST_F(JsonWorkload, MissingFile_IsNamed) {
  EXPECT_THROW(read_json_workload("/nonexistent/a.json"), InputError);
}

}  // namespace
}  // namespace kpksim::workload
