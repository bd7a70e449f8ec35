// Claims about the JSON workload format: how bad input is refused.

#include "tests/workload/json_fixture.h"

namespace kpksim::workload {
namespace {

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
