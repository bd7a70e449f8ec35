// The command line as a user meets it: same bytes twice, and bad input that leaves nothing behind.

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

#include "sim/kernel/profile.h"
#include "tests/command_line.h"

namespace {

namespace fs = std::filesystem;
using kpksim::test::CommandLine;
using kpksim::test::violation;

constexpr const char* kSmall = kpksim::test::kSmallWorkload;

TEST_F(CommandLine, TheSameRunTwiceGivesTheSameBytes) {
  const std::string workload = write("w.json", kSmall);
  ASSERT_EQ(run("compare --memory 1G -o " + file("a.json") + " " + workload), 0) << message_;
  ASSERT_EQ(run("compare --memory 1G -o " + file("b.json") + " " + workload), 0) << message_;
  EXPECT_GT(read(file("a.json")).size(), 1000u);
  EXPECT_EQ(read(file("a.json")), read(file("b.json")));
}

TEST_F(CommandLine, TheNumberOfThreadsDoesNotChangeTheResult) {
  const std::string workload = write("w.json", kSmall);
  ASSERT_EQ(run("compare -j 1 --memory 1G -f json " + workload), 0) << message_;
  const std::string one = read(file("out"));
  ASSERT_EQ(run("compare -j 4 --memory 1G -f json " + workload), 0) << message_;
  EXPECT_EQ(one, read(file("out")));
}

TEST_F(CommandLine, TheResultDocumentFollowsItsSchema) {
  const std::string workload = write("w.json", kSmall);
  ASSERT_EQ(run("compare --memory 1G -o " + file("a.json") + " " + workload), 0) << message_;
  EXPECT_EQ(
      violation(read(file("a.json")), read(kpksim::test::source_path("docs/result.schema.json"))),
      "");
}

TEST_F(CommandLine, KernelDataIsInTheDocumentIfAskedForAndOnlyThen) {
  const std::string workload = write("w.json", kSmall);
  const std::string options = "run -p none,buddy,pte --memory 1G -f json " + workload;
  ASSERT_EQ(run(options), 0) << message_;
  EXPECT_EQ(read(file("out")).find("kernel_data"), std::string::npos);
  ASSERT_EQ(run(options + " --kernel-data=16M"), 0) << message_;
  const std::string with = read(file("out"));
  EXPECT_EQ(violation(with, read(kpksim::test::source_path("docs/result.schema.json"))), "");
  EXPECT_NE(with.find("\"kernel_data\""), std::string::npos);
  EXPECT_NE(with.find("16384 KB of slab objects"), std::string::npos) << "it is an assumption";
  ASSERT_EQ(run(options + " --kernel-data 16M"), 0) << message_;
  EXPECT_EQ(read(file("out")), with);
  // Without a size it would take the workload's name for one.
  EXPECT_EQ(run("run --kernel-data " + workload), 2);
  EXPECT_NE(message_.find("--kernel-data: "), std::string::npos) << message_;
}

TEST_F(CommandLine, UncertaintyIsPartOfTheDocumentAndDependsOnTheSeedOnly) {
  const std::string workload = write("w.json", kSmall);
  const std::string options = "compare --memory 1G --uncertainty 20 -f json ";
  ASSERT_EQ(run(options + workload), 0) << message_;
  const std::string one = read(file("out"));
  EXPECT_EQ(violation(one, read(kpksim::test::source_path("docs/result.schema.json"))), "");
  ASSERT_EQ(run(options + "-j 4 " + workload), 0) << message_;
  EXPECT_EQ(read(file("out")), one);
  ASSERT_EQ(run(options + "--seed 2 " + workload), 0) << message_;
  EXPECT_NE(read(file("out")), one);
}

TEST_F(CommandLine, CsvHasOneLineForEachFigure) {
  const std::string workload = write("w.json", kSmall);
  ASSERT_EQ(run("run -p none,buddy,pte --memory 1G -f csv " + workload), 0) << message_;
  const std::string text = read(file("out"));
  EXPECT_TRUE(
      text.starts_with("workload,policy,phase,quantity,cause,value,core,kernel,cores,hz,"
                       "memory_bytes,protection,window,allocator,linear_map,"
                       "reach,inject,version,source\n"));
  EXPECT_NE(text.find("\nsmall,\"none,buddy,pte\",all,tlbi_aside1,fork,1,neoverse-v1,"
                      "linux-6.12-kpkeys,1,0,1073741824,none,none,buddy,pte,broadcast,none,"),
            std::string::npos)
      << text;
}

TEST_F(CommandLine, AForgottenTlbInvalidationIsReportedAsStaleTranslations) {
  const std::string workload = write("w.json", R"({"name":"w","phases":[{"name":"p","ops":[
      {"op":"spawn","task":"a"},
      {"op":"mmap","task":"a","region":"h","size":"64K"},
      {"op":"touch","task":"a","region":"h","access":"write"},
      {"op":"fork","task":"a","child":"b"}]}]})");
  ASSERT_EQ(run("run --memory 1G " + workload), 0) << message_;
  EXPECT_EQ(read(file("out")).find("STALE"), std::string::npos);
  for (const char* command : {"run", "compare -p kpkeys-poe,per-page,pte"}) {
    const std::string options = " --memory 1G --inject skip:tlbi.fork-parent ";
    EXPECT_EQ(run(command + options + workload), 1) << message_;
    EXPECT_NE(read(file("out")).find("STALE TRANSLATIONS"), std::string::npos);
    EXPECT_EQ(run(command + options + "-f csv " + workload), 1) << "whatever is printed";
  }
}

// With its history, on the terminal and in the document; without a fault there is nothing.
TEST_F(CommandLine, TheSanitizersFindingsAreShownAndEndWithStatus1) {
  const std::string workload = write("w.json", R"({"name":"w","phases":[{"name":"p","ops":[
      {"op":"spawn","task":"a"},
      {"op":"mmap","task":"a","region":"h","size":"64K"},
      {"op":"touch","task":"a","region":"h","access":"write"},
      {"op":"munmap","task":"a","region":"h"},
      {"op":"syscall","task":"a"}]}]})");
  ASSERT_EQ(run("run --check --memory 1G " + workload), 0) << message_;
  EXPECT_NE(read(file("out")).find("checked: nothing is wrong"), std::string::npos);
  const std::string document = file("result.json");
  ASSERT_EQ(run("run --check --inject skip:tlbi.unmap --memory 1G -o " + document + " " + workload),
            1)
      << message_;
  const std::string text = read(file("out"));
  EXPECT_NE(text.find("injected: skip:tlbi.unmap, "), std::string::npos) << text;
  EXPECT_NE(text.find("page-freed: a page is freed"), std::string::npos) << text;
  EXPECT_NE(text.find("munmap: flush 'unmap' begins"), std::string::npos) << text;
  const std::string json = read(document);
  for (const char* part : {"\"rule\": \"page-freed\"", "\"history\": [", "\"occurrences\": "}) {
    EXPECT_NE(json.find(part), std::string::npos) << part;
  }
}

TEST_F(CommandLine, AKernelThatDiesOfAnInjectedFaultTellsWhatWasFoundBefore) {
  const std::string workload = write("w.json", kSmall);
  EXPECT_EQ(run("run --check --inject skip:open.lazy -p kpkeys-poe+lazy,per-page,pte --memory 1G " +
                workload),
            1);
  EXPECT_NE(message_.find("died of the fault injected (skip:open.lazy)"), std::string::npos)
      << message_;
}

// Each ends with one message and status 2, and leaves no output file, not even a temporary one.
struct BadInput {
  const char* name;       // of the case
  const char* file_name;  // of the input
  std::string text;       // in it
  const char* options;
  std::vector<const char*> said;  // parts of the message
};

class BadInputs : public CommandLine, public testing::WithParamInterface<BadInput> {};

TEST_P(BadInputs, EndWithOneMessageAndLeaveNoFile) {
  const BadInput& bad = GetParam();
  const std::string input = write(bad.file_name, bad.text);
  EXPECT_EQ(run(std::string("run ") + bad.options + " -o " + file("out.json") + " " + input), 2);
  for (const char* part : bad.said) {
    EXPECT_NE(message_.find(part), std::string::npos) << part << " in: " << message_;
  }
  EXPECT_TRUE(message_.starts_with("kpksim: ")) << message_;
  EXPECT_EQ(std::count(message_.begin(), message_.end(), '\n'), 1) << message_;
  EXPECT_EQ(read(file("out")), "");
  for (const auto& entry : fs::directory_iterator(folder_)) {
    const std::string name = entry.path().filename().string();
    EXPECT_TRUE(name == bad.file_name || name == "out" || name == "err") << name;
  }
}

std::string ops(const std::string& list) {
  return R"({"name":"t","phases":[{"name":"p","ops":[{"op":"spawn","task":"a"},)" + list + "]}]}";
}

std::string truncated_zstd() { return std::string("\x28\xb5\x2f\xfd\x24\x64\x21\x03", 8); }

INSTANTIATE_TEST_SUITE_P(
    All, BadInputs,
    testing::Values(
        BadInput{"malformed", "w.json", "{\n  \"name\": ,\n}", "", {"w.json:2:11"}},
        BadInput{"empty", "w.json", "", "", {"w.json"}},
        BadInput{"unknownKey",
                 "w.json",
                 ops(R"({"op":"syscall","tsk":"a"})"),
                 "",
                 {"w.json:1:90: /phases/0/ops/1/tsk", "'tsk'", "'task'"}},
        BadInput{"wrongType",
                 "w.json",
                 ops(R"({"op":"syscall","task":7})"),
                 "",
                 {"w.json:1:91: /phases/0/ops/1/task", "expected string"}},
        BadInput{"impossibleSize",
                 "w.json",
                 ops(R"({"op":"mmap","task":"a","region":"r","size":"999T"})"),
                 "",
                 {"w.json:1:112: /phases/0/ops/1/size", "128T"}},
        BadInput{"munmapOfNothing",
                 "w.json",
                 ops(R"({"op":"munmap","task":"a","region":"r"})"),
                 "",
                 {"/phases/0/ops/1/region", "not mapped"}},
        BadInput{"twoPhasesOfOneName",
                 "w.json",
                 "{\"name\":\"t\",\"phases\":[\n"
                 "  {\"name\":\"p\",\"ops\":[{\"op\":\"idle\"}]},\n"
                 "  {\"name\":\"p\",\"ops\":[{\"op\":\"idle\"}]}]}",
                 "",
                 {"w.json:3:11: /phases/1/name", "'p'", "/phases/0/name"}},
        BadInput{"anotherPhasesOtherName",
                 "w.json",
                 "{\"name\":\"t\",\"phases\":[\n"
                 "  {\"name\":\"p\",\"ops\":[{\"op\":\"idle\"}]},\n"
                 "  {\"name\":\"q\",\"also\":[\"p\"],\"ops\":[{\"op\":\"idle\"}]}]}",
                 "",
                 {"w.json:3:23: /phases/1/also/0", "'p'", "/phases/0/name"}},
        BadInput{"lineOfAnOperation",
                 "w.json",
                 "{\"name\":\"t\",\"phases\":[{\"name\":\"p\",\"ops\":[\n"
                 "  {\"op\":\"spawn\",\"task\":\"a\"},\n"
                 "  {\"op\":\"mmap\",\"task\":\"a\",\n"
                 "   \"region\":\"r\",   \"size\":\"64Q\"}]}]}",
                 "",
                 {"w.json:4:27: /phases/0/ops/1/size", "'64Q' is not a size"}},
        BadInput{"outOfMemory",
                 "w.json",
                 ops(R"({"op":"mmap","task":"a","region":"r","size":"1G","huge":"never"},
                        {"op":"touch","task":"a","region":"r","access":"write"})"),
                 "--memory 256M",
                 {"w.json:2", "out of memory", "--memory"}},
        BadInput{"truncatedZstd", "t.strace.zst", truncated_zstd(), "", {"t.strace.zst", "zstd"}},
        BadInput{"binaryAsStrace",
                 "t.strace",
                 std::string("\x7f"
                             "ELF\0\0\0",
                             7),
                 "",
                 {"t.strace:1", "binary", "strace"}},
        BadInput{"proseAsStrace",
                 "t.strace",
                 "Dear reader,\nthis is a letter.\n",
                 "",
                 {"t.strace:1", "not strace"}},
        BadInput{"unknownPolicy", "w.json", kSmall, "-p kpkeys-po,pba,block", {"'kpkeys-poe'"}},
        BadInput{"senselessPolicy", "w.json", kSmall, "-p none,pba,block", {"'pba'", "'buddy'"}},
        BadInput{"unknownCore", "w.json", kSmall, "--core neoverse-v", {"'neoverse-v1'"}},
        BadInput{"unknownKernel", "w.json", kSmall, "--kernel linux-6.21", {"'linux-6.12'"}},
        BadInput{"unknownFormat", "w.json", kSmall, "-f tabel", {"'table'"}},
        BadInput{"badMemory", "w.json", kSmall, "--memory 64Q", {"--memory", "64Q"}},
        BadInput{"decimalMemory", "w.json", kSmall, "--memory 8GB", {"--memory", "8GB", "GiB"}},
        BadInput{"tooMuchMemory", "w.json", kSmall, "-m 99999999T", {"--memory", "64 bits"}},
        BadInput{"endlessMemory", "w.json", kSmall, "-m 99999999999999999999", {"64 bits"}},
        BadInput{"negativeJobs", "w.json", kSmall, "-j -1", {"--jobs: '-1'", "from 1"}},
        BadInput{"noJobs", "w.json", kSmall, "--jobs=0", {"--jobs: '0'"}},
        BadInput{"negativeSeed", "w.json", kSmall, "--seed -1", {"--seed: '-1'"}},
        BadInput{"negativeCores", "w.json", kSmall, "--cores -1", {"--cores: '-1'"}},
        BadInput{"negativeHz", "w.json", kSmall, "--hz -250", {"--hz: '-250'"}},
        BadInput{"noNumber", "w.json", kSmall, "--hz 5x", {"--hz: '5x'"}},
        BadInput{"manyCores", "w.json", kSmall, "--cores 99999999999", {"--cores"}},
        BadInput{"negativeDraws", "w.json", kSmall, "--uncertainty -3", {"--uncertainty: '-3'"}},
        BadInput{"emptyCore", "w.json", kSmall, "--core ''", {"--core", "empty"}},
        BadInput{"unknownOption", "w.json", kSmall, "--polcy x", {"'--polcy'", "'--policy'"}},
        BadInput{"noCores", "w.json", kSmall, "--cores 0", {"cores"}}),
    [](const auto& bad) { return bad.param.name; });

TEST_F(CommandLine, AnEmptyNameOfAFileIsAnErrorAndNotNoName) {
  const std::string workload = write("w.json", kSmall);
  EXPECT_EQ(run("run --memory 1G -o '' " + workload), 2);
  EXPECT_NE(message_.find("--output: ''"), std::string::npos) << message_;
  EXPECT_EQ(run("run ''"), 2);
  EXPECT_EQ(run("explain ''"), 2);
  EXPECT_EQ(run("conform ''"), 2);
}

TEST_F(CommandLine, EachCommandTakesWholeNumbersAlone) {
  for (const char* arguments :
       {"conform --max-failures -2 x", "translate --el -1", "translate --el 2",
        "validate kernel --max-off -1", "validate kernel -j -1", "validate apps --max-off -1",
        "validate published --jobs -1", "compare --uncertainty=-3 x"}) {
    EXPECT_EQ(run(arguments), 2) << arguments;
    EXPECT_NE(message_.find("is not a whole number"), std::string::npos) << message_;
  }
}

TEST_F(CommandLine, SizesAreReadInEitherCaseAndWithKibi) {
  const std::string workload = write("w.json", kSmall);
  ASSERT_EQ(run("run -f csv -m 1G " + workload), 0) << message_;
  const std::string as_1g = printed();
  for (const char* size : {"1g", "1GiB", "1gib", "1024MiB", "1048576k", "1073741824"}) {
    ASSERT_EQ(run(fmt::format("run -f csv -m {} {}", size, workload)), 0) << message_;
    EXPECT_EQ(printed(), as_1g) << size;
  }
}

TEST_F(CommandLine, AProfileInTheCurrentFolderIsReadByItsName) {
  // tests/reported/core-by-bare-name.
  const auto copy = [&](const char* from, const char* to) {
    fs::copy_file(kpksim::test::source_path(from), file(to));
  };
  copy("profiles/cores/neoverse-v1.json", "my.json");
  copy("profiles/kernels/linux-6.12.json", "mine.json");
  write("w.json", kSmall);
  ASSERT_EQ(run("run --core my.json --kernel mine.json w.json"), 0) << message_;
  const std::string by_name = printed();
  ASSERT_EQ(run("run --core ./my.json --kernel ./mine.json ./w.json"), 0) << message_;
  EXPECT_EQ(printed(), by_name);
  EXPECT_EQ(run("run --core mi.json w.json"), 2);
  EXPECT_NE(message_.find("mi.json: cannot be read"), std::string::npos) << message_;
}

TEST_F(CommandLine, AFileWinsOverAShippedNameAndAFolderDoesNot) {
  fs::create_directories(folder_ / "thp");
  ASSERT_EQ(run("run thp"), 0) << message_;
  write("mixed", "no recording\n");
  EXPECT_EQ(run("run mixed"), 2);
  EXPECT_NE(message_.find("mixed:1"), std::string::npos) << message_;
}

TEST_F(CommandLine, TheSamePolicyTwiceIsAnError) {
  const std::string workload = write("w.json", kSmall);
  EXPECT_EQ(run("compare -p none,buddy,pte -p none,buddy,pte " + workload), 2);
  EXPECT_NE(message_.find("'none,buddy,pte' is given twice"), std::string::npos) << message_;
}

TEST_F(CommandLine, ExplainReadsWhatCompareWrote) {
  const std::string workload = write("w.json", kSmall);
  ASSERT_EQ(run("compare --memory 1G -o " + file("a.json") + " " + workload), 0) << message_;
  ASSERT_EQ(run("explain " + file("a.json") + " all"), 0) << message_;
  EXPECT_NE(read(file("out")).find("small, phase all"), std::string::npos);
  EXPECT_EQ(run("explain " + file("a.json") + " al"), 2);
  EXPECT_NE(message_.find("a.json: workload 'small' has no phase 'al'"), std::string::npos);
  EXPECT_EQ(run("explain " + workload), 2) << "a workload is no result";
  EXPECT_NE(message_.find("w.json:1:1: /"), std::string::npos) << message_;
}

TEST_F(CommandLine, OutputThatCannotBeWrittenIsAnError) {
  const std::string workload = write("w.json", kSmall);
  EXPECT_EQ(run("run --memory 1G -o " + file("no/such/folder/out.json") + " " + workload), 3);
  EXPECT_NE(message_.find("cannot be written: No such file or directory"), std::string::npos)
      << message_;
  EXPECT_EQ(read(file("out")), "") << "it shows before the simulation";
}

// The counts of whole programs: what is not known is refused by name, before anything is replayed.
class AppsFile : public CommandLine {
 protected:
  AppsFile() {
    fs::create_directories(folder_ / "traces");
    for (const char* name : {"nothing", "shop"}) {
      write(std::string("traces/") + name + ".strace", "1 getpid() = 1\n1 getpid() = 1\n");
    }
  }
  static std::string counts(const std::string& program, const std::string& variant,
                            const std::string& counter) {
    const std::string of = R"({"max":{")" + variant + R"(":{")" + counter + R"(":7}}}})";
    return R"({"variants":"","phases":[{"name":"nothing","cpu":)" + of + R"(,{"name":")" + program +
           R"(","cpu":)" + of + "]}";
  }
  void expect_refused(const std::string& text, const std::vector<std::string>& parts,
                      const std::string& options = "") {
    EXPECT_EQ(run("validate apps " + options + " " + write("counts.json", text)), 2) << message_;
    for (const std::string& part : parts) {
      EXPECT_NE(message_.find(part), std::string::npos) << part << " in: " << message_;
    }
    EXPECT_EQ(std::count(message_.begin(), message_.end(), '\n'), 1) << message_;
    EXPECT_EQ(read(file("out")), "");
  }
};

TEST_F(AppsFile, AnUnknownProgramVariantOrCounterIsRefusedByName) {
  ASSERT_EQ(run("validate apps " + write("counts.json", counts("shop", "off", "eret"))), 0)
      << message_;
  expect_refused(counts("shed", "off", "eret"), {"counts.json", "'shed'", "'shop'"});
  expect_refused(counts("shop", "offf", "eret"), {"/phases/0/cpu/max", "'offf'", "'off'"});
  expect_refused(counts("shop", "off", "erets"), {"/phases/0/cpu/max/off", "'erets'", "'eret'"});
  expect_refused(counts("shop", "off", "eret"), {"--variant", "'pba'"}, "--variant pba");
  expect_refused(counts("shop", "off", "eret"), {"--program", "'chop'", "'shop'"},
                 "--program chop");
}

TEST_F(AppsFile, WithoutVariantsItIsOfAnUnpatchedKernel) {
  write("traces/shop.strace", "1 getpid() = 1\n1 getpid() = 1\n1 getpid() = 1\n");
  const std::string of = R"("cpu":{"max":{"kernel_instructions":7}}})";
  const std::string text =
      R"({"phases":[{"name":"nothing",)" + of + R"(,{"name":"shop",)" + of + "]}";
  run("validate apps --all " + write("counts.json", text));
  const auto profile = kpksim::kernel::read_kernel_profile(
      kpksim::test::source_path("profiles/kernels/linux-6.12.json"));
  const std::string model =
      fmt::format("model {:>11} ", profile.path.syscall + profile.path.sve_discard);
  EXPECT_NE(read(file("out")).find(model), std::string::npos) << read(file("out"));
}

TEST_F(AppsFile, WithoutTheProgramNothingThereIsNothingToSubtract) {
  expect_refused(R"({"variants":"","phases":[{"name":"shop","cpu":{"max":{"off":{"eret":7}}}}]})",
                 {"/phases", "'nothing'"});
}

TEST_F(AppsFile, WithoutOtherProgramsThereIsNothingToCompare) {
  expect_refused(
      R"({"variants":"","phases":[{"name":"nothing","cpu":{"max":{"off":{"eret":7}}}}]})",
      {"/phases", "nothing to compare"});
}

// A check that compared nothing has not succeeded.
TEST_F(CommandLine, AValidationThatComparesNothingIsAnError) {
  EXPECT_EQ(run("validate kernel --variant switch-only-batched --phase fork_64m"), 2);
  EXPECT_NE(message_.find("'switch-only-batched' was not measured in phase 'fork_64m'"),
            std::string::npos)
      << message_;
  EXPECT_NE(message_.find("expected one of: keyed"), std::string::npos) << message_;
  EXPECT_EQ(run("validate kernel --variant keyd"), 2);
  EXPECT_NE(message_.find("is not a variant; did you mean 'keyed'?"), std::string::npos)
      << message_;
  const std::string counts = write(
      "counts.json",
      R"({"variants":"","phases":[{"name":"unheard_of","cpu":{"max":{"off":{"eret":[7]}}}}]})");
  EXPECT_EQ(run("validate kernel " + counts), 2);
  EXPECT_NE(message_.find("nothing to compare: no workload for unheard_of"), std::string::npos)
      << message_;
}

TEST_F(CommandLine, UnknownCommandAndMissingFileExitWithTwo) {
  EXPECT_EQ(run("compair"), 2);
  EXPECT_NE(message_.find("'compare'"), std::string::npos) << message_;
  EXPECT_EQ(run("run " + file("nowhere.json")), 2);
  EXPECT_NE(message_.find("nowhere.json"), std::string::npos) << message_;
  EXPECT_EQ(run("run fork1g"), 2);
  EXPECT_NE(message_.find("'fork-1g'"), std::string::npos) << message_;
}

}  // namespace
