// What the program writes: it is all there, or the exit status says that it is not; it is what the
// schema says; and nothing in it comes from a file unseen.

#include <algorithm>
#include <string>
#include <vector>

#include "tests/command_line.h"
#include "tests/sanitized.h"

namespace {

namespace fs = std::filesystem;
using kpksim::test::CommandLine;
using kpksim::test::kAddressSanitizer;
using kpksim::test::kSmallWorkload;
using kpksim::test::quoted_source_path;
using kpksim::test::source_path;
using kpksim::test::violation;

class Output : public CommandLine {
 protected:
  Output() {
    write("w.json", kSmallWorkload);
    write("vectors.jsonl", "{\"xt\":1}\n");
  }
  void expect_one_message(const std::string& part) {
    EXPECT_NE(message_.find(part), std::string::npos) << message_;
    EXPECT_EQ(std::count(message_.begin(), message_.end(), '\n'), 1) << message_;
  }
};

// Each way of printing something.
class Printing : public Output, public testing::WithParamInterface<const char*> {};

TEST_P(Printing, ToAFullDeviceEndsWithOneMessageAndThree) {
  if (access("/dev/full", W_OK) != 0) GTEST_SKIP() << "no /dev/full";
  ASSERT_EQ(run("compare -m 1G -o result.json w.json"), 0) << message_;
  EXPECT_EQ(shell(std::string("\"$KPKSIM\" ") + GetParam() + " >/dev/full"), 3);
  EXPECT_EQ(message_, "kpksim: standard output: cannot be written: No space left on device\n");
}

TEST_P(Printing, ToAReaderWhoHasGoneEndsQuietly) {
  ASSERT_EQ(run("compare -m 1G -o result.json w.json"), 0) << message_;
  // The reader opens the fifo and goes before the first byte.
  shell(std::string("mkfifo f; (exec 3<f) & exec 4>f; wait; \"$KPKSIM\" ") + GetParam() + " >&4");
  EXPECT_EQ(message_, "");
}

INSTANTIATE_TEST_SUITE_P(
    All, Printing,
    testing::Values("compare -m 1G w.json", "compare -m 1G -f json w.json",
                    "compare -m 1G -f csv w.json", "run -m 1G w.json",
                    "run -m 1G --uncertainty 5 w.json", "list policies", "list cores",
                    "list cores -v", "list kernels", "list workloads", "--help", "-h", "help",
                    "help run", "--version", "compare --help", "run --help", "explain --help",
                    "validate --help", "validate kernel --help", "validate apps --help",
                    "validate published --help", "list --help", "conform --help",
                    "translate --help",
                    "translate --va 0x1000 --reg tcr=0x80100010 --reg ttbr0=0x40000000",
                    "translate --workload mixed --at start:2", "explain result.json",
                    "validate kernel --phase getppid_x10000 --all"));

TEST_F(Output, ConformToAFullDeviceEndsWithThree) {
  if (access("/dev/full", W_OK) != 0) GTEST_SKIP() << "no /dev/full";
  EXPECT_EQ(shell("\"$KPKSIM\" conform " + quoted_source_path("tests/golden/tlbi_ranges.jsonl.gz") +
                  " >/dev/full"),
            3);
  expect_one_message("standard output: cannot be written");
}

TEST_F(Output, AClosedStandardOutputIsNoFileThatIsOpenedLater) {
  EXPECT_EQ(shell("\"$KPKSIM\" run -m 1G -o result.json w.json >&-"), 3);
  expect_one_message("standard output: cannot be written: Bad file descriptor");
  EXPECT_EQ(violation(read(file("result.json")), read(source_path("docs/result.schema.json"))), "");
}

TEST_F(Output, WhatStandardErrorSaysIsNobodysConcern) {
  EXPECT_EQ(shell("\"$KPKSIM\" run -m 1G w.json 2>/dev/full"), 0);
  EXPECT_EQ(shell("\"$KPKSIM\" run -m 1G nowhere.json 2>/dev/full"), 2);
  EXPECT_EQ(shell("\"$KPKSIM\" run -m 1G w.json 2>&-"), 0);
}

TEST_F(Output, TheDocumentIsWrittenThoughTheTableCannotBe) {
  if (access("/dev/full", W_OK) != 0) GTEST_SKIP() << "no /dev/full";
  EXPECT_EQ(shell("\"$KPKSIM\" run -m 1G -o result.json w.json >/dev/full"), 3);
  EXPECT_EQ(violation(read(file("result.json")), read(source_path("docs/result.schema.json"))), "");
  EXPECT_EQ(run("run -m 1G -o /dev/full w.json"), 3);
  expect_one_message("/dev/full: cannot be written: No space left on device");
  EXPECT_NE(printed().find("policy: "), std::string::npos) << "and the other way round";
  EXPECT_TRUE(fs::is_character_file("/dev/full"));
}

TEST_F(Output, AFileThatIsTooLargeForTheLimitIsNotLeftInPart) {
  write("result.json", "old");
  EXPECT_EQ(shell("ulimit -f 1; \"$KPKSIM\" run -m 1G -o result.json w.json >/dev/null"), 3);
  expect_one_message("result.json: cannot be written: File too large");
  EXPECT_EQ(read(file("result.json")), "old");
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_), fs::directory_iterator()), 5)
      << "w.json, vectors.jsonl, result.json, out and err";
}

TEST_F(Output, TheDocumentGoesWhereStandardOutputGoes) {
  EXPECT_EQ(shell("\"$KPKSIM\" run -m 1G -f csv -o /dev/stdout w.json >both"), 0) << message_;
  const std::string both = read(file("both"));
  EXPECT_TRUE(both.starts_with("{\n")) << both.substr(0, 100);
  EXPECT_NE(both.find("\n}\nworkload,policy"), std::string::npos)
      << "first the one, then the other";
}

TEST_F(Output, AnInputIsNotOverwritten) {
  EXPECT_EQ(run("run -m 1G -o ./w.json w.json"), 2);
  expect_one_message("--output: ./w.json is an input too");
  EXPECT_EQ(read(file("w.json")), kSmallWorkload);
}

// Documents of any number of cores, of which most are idle.
class Documents : public Output, public testing::WithParamInterface<const char*> {};

TEST_P(Documents, FollowTheSchemaAndAreReadByExplain) {
  const std::string schema = read(source_path("docs/result.schema.json"));
  const std::string cores = std::string(" -m 1G --cores ") + GetParam();
  struct Kind {
    const char *command, *explained;
  };
  for (const Kind& kind :
       {Kind{"run", "Cycles, by kind of cost"}, Kind{"compare", "More cycles, by kind of cost"},
        Kind{"compare --uncertainty 3", "More cycles"}, Kind{"run --uncertainty 3", "Cycles"},
        Kind{"compare --hz 250", "More cycles"}}) {
    const std::string command = kind.command + cores + " w.json";
    ASSERT_EQ(run(command + " -f json -o result.json"), 0) << message_;
    EXPECT_EQ(read(file("result.json")), printed());
    EXPECT_EQ(violation(printed(), schema), "") << command;
    for (const char* phase : {"", " all"}) {
      ASSERT_EQ(run(std::string("explain result.json") + phase), 0) << command << message_;
      EXPECT_NE(printed().find(kind.explained), std::string::npos) << printed();
    }
    ASSERT_EQ(run("explain --from none,buddy,pte result.json"),
              std::string(kind.command).starts_with("compare") ? 0 : 2);
  }
}

INSTANTIATE_TEST_SUITE_P(Cores, Documents, testing::Values("1", "2", "64"),
                         [](const auto& cores) { return std::string(cores.param); });

TEST_F(Output, ADocumentOfTwoWorkloadsIsReadToo) {
  write("v.json", kSmallWorkload);
  ASSERT_EQ(run("compare -m 1G -o result.json w.json v.json"), 0) << message_;
  ASSERT_EQ(run("explain result.json"), 0) << message_;
  EXPECT_EQ(printed().substr(0, printed().size() / 2),
            printed().substr(printed().size() - printed().size() / 2))
      << "two workloads of one name are two";
}

// Exceptions become messages.

struct Failure {
  const char* name;
  const char* arguments;
  int status;
  const char* said;
};

class Failures : public Output, public testing::WithParamInterface<Failure> {};

TEST_P(Failures, EndWithOneMessage) {
  const Failure& f = GetParam();
  std::string arguments = f.arguments;
  if (const auto at = arguments.find("LONG"); at != std::string::npos) {
    arguments.replace(at, 4, std::string(300, 'x'));
  }
  EXPECT_EQ(run(arguments), f.status) << message_;
  expect_one_message(f.said);
  EXPECT_TRUE(message_.starts_with("kpksim: ")) << message_;
}

INSTANTIATE_TEST_SUITE_P(
    All, Failures,
    testing::Values(Failure{"longWorkload", "run LONG", 2, "shipped workload"},
                    Failure{"longFile", "run ./LONG", 2, "File name too long"},
                    Failure{"longCore", "run --core LONG w.json", 2, "core profile"},
                    Failure{"longKernel", "run --kernel ./LONG w.json", 2, "File name too long"},
                    Failure{"longVectors", "conform LONG", 2, "File name too long"},
                    Failure{"longResult", "explain LONG", 2, "File name too long"},
                    Failure{"longCounts", "validate apps LONG", 2, "File name too long"},
                    Failure{"longOutput", "run -m 1G -o LONG w.json", 3, "File name too long"},
                    Failure{"memoryAsWorkload", "run /proc/self/mem", 2, "/proc/self/mem"},
                    Failure{"memoryAsVectors", "conform /proc/self/mem", 2, "/proc/self/mem"},
                    Failure{"memoryAsCore", "run --core /proc/self/mem w.json", 2, "self/mem"},
                    Failure{"memoryAsResult", "explain /proc/self/mem", 2, "/proc/self/mem"},
                    Failure{"folderAsWorkload", "run /proc/self", 2, "is a directory"},
                    Failure{"folderAsJson", "explain .", 2, "is a directory"},
                    Failure{"endlessCore", "run --core /dev/zero w.json", 2, "256 MiB"},
                    Failure{"endlessResult", "explain /dev/zero", 2, "256 MiB"}),
    [](const auto& failure) { return failure.param.name; });

// Root reads everything, unless it gives up the capabilities that let it.
TEST_F(Output, AFolderWithoutPermissionIsAMessage) {
  const std::string program =
      std::string(geteuid() == 0 ? "setpriv --bounding-set=-dac_override,-dac_read_search " : "") +
      "\"$KPKSIM\" ";
  fs::create_directories(folder_ / "closed");
  write("closed/w.json", kSmallWorkload);
  fs::permissions(folder_ / "closed", fs::perms::none);
  for (const char* arguments : {"run closed/w.json", "conform closed/w.json",
                                "run --core closed/c.json w.json", "validate apps closed/c.json"}) {
    EXPECT_EQ(shell(program + arguments), 2) << arguments;
    expect_one_message("Permission denied");
  }
  EXPECT_EQ(shell("KPKSIM_DATA=closed " + program + "list cores"), 2);
  expect_one_message("KPKSIM_DATA");
  fs::permissions(folder_ / "closed", fs::perms::owner_all);
}

TEST_F(Output, NoMemoryIsAMessage) {
  if (kAddressSanitizer) GTEST_SKIP() << "the sanitizer needs terabytes of addresses";
  write("large.json", R"({"name":"large","phases":[{"name":"all","ops":[
    {"op":"spawn","task":"p"},
    {"op":"mmap","task":"p","region":"h","size":"7G","huge":"never"},
    {"op":"touch","task":"p","region":"h","access":"write"}]}]})");
  EXPECT_EQ(shell("ulimit -v 60000; \"$KPKSIM\" compare -m 8G -j 2 -o result.json large.json"), 3);
  expect_one_message("out of memory");
  EXPECT_FALSE(fs::exists(file("result.json")));
}

// Names from files.

constexpr const char* kHostile =
    "{\"name\":\"n\\u001b[2J\\n\\u009b1m\",\"description\":\"d\",\"phases\":[{\"name\":"
    "\"one\\u001b]0;title\\u0007\\nTLBI 0\",\"ops\":[{\"op\":\"spawn\",\"task\":\"t\"}]},"
    "{\"name\":\"a,\\\"b\\\"\",\"ops\":[{\"op\":\"syscall\",\"task\":\"t\"}]}]}";

bool obeyed(const std::string& text) {
  return std::any_of(text.begin(), text.end(),
                     [](char c) {
                       return (static_cast<unsigned char>(c) < 0x20 && c != '\n') || c == 0x7f;
                     }) ||
         text.find("\xc2\x9b") != std::string::npos;
}

TEST_F(Output, NamesFromFilesSendNothingToTheTerminal) {
  write("hostile.json", kHostile);
  for (const char* arguments :
       {"run -m 1G hostile.json", "compare -m 1G --uncertainty 3 hostile.json",
        "run -m 1G -f csv hostile.json", "run -m 1G -f json hostile.json"}) {
    ASSERT_EQ(run(arguments), 0) << message_;
    EXPECT_FALSE(obeyed(printed())) << arguments << printed();
    EXPECT_EQ(printed().find("\nTLBI 0"), std::string::npos) << "a line of its own";
  }
  ASSERT_EQ(run("compare -m 1G -o result.json hostile.json"), 0) << message_;
  ASSERT_EQ(run("explain result.json"), 0) << message_;
  EXPECT_FALSE(obeyed(printed())) << printed();
  EXPECT_NE(printed().find("n\\x1b[2J\\n\\u{9b}1m, all phases"), std::string::npos) << printed();
}

TEST_F(Output, ErrorsThatQuoteFilesSendNothingToTheTerminal) {
  write("a\x1b[2J.json", "{\"name\": \"\x1b[2J\"");
  write("trace", "1 getpid() = 1\n1 \x1b]0;title\x07() = 1\n\xff\xfe\n");
  write("phase.json",
        "{\"name\":\"n\",\"phases\":[{\"name\":\"p\",\"ops\":[{\"op\":\"\\u001b[2J\"}]}]}");
  for (const char* arguments :
       {"run 'a\x1b[2J.json'", "run phase.json", "run -m 1G trace", "explain phase.json '\x1b[2J'",
        "conform 'a\x1b[2J.json'", "list '\x1b[2J'", "'\x1b[2J'"}) {
    run(arguments);
    EXPECT_FALSE(obeyed(message_)) << message_;
    EXPECT_FALSE(obeyed(printed())) << printed();
  }
}

TEST_F(Output, ANameThatIsNoUtf8StillGivesADocument) {
  write("caf\xe9.strace", "1 getpid() = 1\n1 getpid() = 1\n");
  ASSERT_EQ(run("run -m 1G -o result.json 'caf\xe9.strace'"), 0) << message_;
  EXPECT_NE(printed().find("caf\\xe9: "), std::string::npos) << printed();
  EXPECT_EQ(violation(read(file("result.json")), read(source_path("docs/result.schema.json"))), "");
  EXPECT_EQ(run("explain result.json"), 0) << message_;
}

TEST_F(Output, CsvFieldsAreQuoted) {
  write("hostile.json", kHostile);
  ASSERT_EQ(run("run -m 1G -p none,buddy,pte -f csv hostile.json"), 0) << message_;
  EXPECT_NE(printed().find("\nn\\x1b[2J\\n\\u{9b}1m,\"none,buddy,pte\",\"a,\"\"b\"\"\",isb,"),
            std::string::npos)
      << printed();
}

// What the program says of itself.

TEST_F(Output, TheVersionNamesCompilerBuildAndData) {
  ASSERT_EQ(run("--version"), 0);
  for (const char* part : {"kpksim ", "\ncompiler: ", "\nbuild type: ", "\ndata: /"}) {
    EXPECT_NE(printed().find(part), std::string::npos) << printed();
  }
  EXPECT_EQ(shell("KPKSIM_DATA=/nowhere \"$KPKSIM\" --version"), 0) << "also without data";
  EXPECT_NE(printed().find("data: none: KPKSIM_DATA: '/nowhere'"), std::string::npos) << printed();
}

TEST_F(Output, HelpOfACommandIsItsHelp) {
  for (const char* command :
       {"compare", "run", "explain", "validate", "list", "conform", "translate", "validate kernel",
        "validate apps", "validate published"}) {
    ASSERT_EQ(run(std::string(command) + " --help"), 0);
    const std::string text = printed();
    ASSERT_EQ(run(std::string("help ") + command), 0);
    EXPECT_EQ(printed(), text);
    EXPECT_NE(text.find("Examples:\n  kpksim "), std::string::npos) << text;
    EXPECT_NE(text.find("--help"), std::string::npos) << text;
  }
  ASSERT_EQ(run("validate --help"), 0);
  for (const char* option : {"--phase", "--program", "--leave-one-out"}) {
    EXPECT_NE(printed().find(option), std::string::npos) << option;
  }
  EXPECT_EQ(run("help compair"), 2);
  expect_one_message("'compare'");
  ASSERT_EQ(run("help"), 0);
  EXPECT_NE(printed().find("Exit status:"), std::string::npos) << printed();
}

}  // namespace
