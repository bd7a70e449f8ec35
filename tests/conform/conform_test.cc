// kpksim conform and kpksim translate as a user meets them: agreement, disagreement, bad input.

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "sim/mmu/regime.h"
#include "tests/paths.h"
#include "tests/scratch.h"

namespace {

namespace fs = std::filesystem;

// A 4 KB page, read at EL1; %1 in the text is the level that is expected.
std::string vector(const std::string& tcr, const std::string& level) {
  return R"({"id":7,"regs":{"tcr":")" + tcr +
         R"(","tcr2":"0x0","sctlr":"0x1","ttbr0":"0x1000","ttbr1":"0x0","pir":"0x0","pire0":"0x0",)"
         R"("por_el1":"0x0","por_el0":"0x0"},"mem":{"0x1000":"0x2003","0x2000":"0x3003",)"
         R"("0x3000":"0x4003","0x4008":"0x8703"},"access":{"va":"0x1234","kind":"R","el":1,)"
         R"("unpriv":false,"pan":false},"expect":{"pa":"0x8234","level":)" +
         level + R"(,"global":true,"page_bits":12,"contiguous":false}})" + "\n";
}
const std::string kTcr = "0x580180010";

class ConformCommand : public testing::Test {
 protected:
  ConformCommand()
      : folder_(kpksim::test::scratch_folder() /
                testing::UnitTest::GetInstance()->current_test_info()->name()) {
    fs::create_directories(folder_);
  }
  ~ConformCommand() override { fs::remove_all(folder_); }
  std::string write(const std::string& text) const {
    const std::string path = (folder_ / "v.jsonl").string();
    std::ofstream(path, std::ios::binary) << text;
    return path;
  }
  int run(const std::string& arguments) {
    const std::string out = (folder_ / "out").string();
    const int status = std::system(
        (kpksim::test::kpksim_binary() + " " + arguments + " >" + out + " 2>&1").c_str());
    std::ostringstream text;
    text << std::ifstream(out, std::ios::binary).rdbuf();
    said_ = text.str();
    return WEXITSTATUS(status);
  }
  bool said(const std::string& part) const { return said_.find(part) != std::string::npos; }

  fs::path folder_;
  std::string said_;
};

TEST_F(ConformCommand, AgreementExitsWithZero) {
  EXPECT_EQ(run("conform " + write(vector(kTcr, "3"))), 0) << said_;
  EXPECT_TRUE(said("1 of 1 vectors agree")) << said_;
}

TEST_F(ConformCommand, DisagreementShowsBothOutcomesLevelByLevel) {
  EXPECT_EQ(run("conform " + write(vector(kTcr, "3") + vector(kTcr, "2"))), 1);
  EXPECT_TRUE(said("v.jsonl:2: vector 7")) << said_;
  EXPECT_TRUE(said("expected: PA 0x8234, level 2")) << said_;
  EXPECT_TRUE(said("cold walk: PA 0x8234, level 3")) << said_;
  EXPECT_TRUE(said("level 2  [0x000000003000] = 0x0000000000004003  table -> 0x4000")) << said_;
  EXPECT_TRUE(said("1 of 2 vectors agree")) << said_;
}

TEST_F(ConformCommand, MaxFailuresLimitsWhatIsPrintedNotWhatIsCounted) {
  const std::string wrong = vector(kTcr, "2");
  EXPECT_EQ(run("conform --max-failures 1 " + write(wrong + wrong + wrong)), 1);
  EXPECT_TRUE(said("0 of 3 vectors agree")) << said_;
  EXPECT_TRUE(said("2 more disagreements")) << said_;
}

TEST_F(ConformCommand, MalformedLineIsNamedAndTheRestGoesOn) {
  EXPECT_EQ(run("conform " + write("{\"id\":\n" + vector(kTcr, "3"))), 2);
  EXPECT_TRUE(said("v.jsonl:1: byte")) << said_;
  EXPECT_TRUE(said("1 of 1 vectors agree, 1 malformed")) << said_;
}

TEST_F(ConformCommand, IllegalRegistersNameFieldAndLegalValues) {
  EXPECT_EQ(run("conform " + write(vector("0x58018000f", "3"))), 2);
  EXPECT_TRUE(said("/regs: TCR_EL1.T0SZ (bits 5:0) is 15; legal: 16 to 39")) << said_;
  EXPECT_EQ(run("conform " + write(vector("0x58018c010", "3"))), 2);
  EXPECT_TRUE(said("TG0 (bits 15:14) is 0b11")) << said_;
  EXPECT_EQ(run("conform " + write(vector("0x780180010", "3"))), 2);
  EXPECT_TRUE(said("TCR_EL1.IPS")) << said_;
}

TEST_F(ConformCommand, UnknownNamesAndMissingFilesAreErrors) {
  std::string text = vector(kTcr, "3");
  text.replace(text.find("ttbr0"), 5, "ttbr2");
  EXPECT_EQ(run("conform " + write(text)), 2);
  EXPECT_TRUE(said("v.jsonl:1: /regs/ttbr2: unknown name; did you mean")) << said_;
  EXPECT_EQ(run("conform " + (folder_ / "nowhere").string()), 2);
  EXPECT_TRUE(said("cannot be read")) << said_;
  EXPECT_EQ(run("conform"), 2);
}

TEST_F(ConformCommand, TranslateShowsEachLevelAndTheResult) {
  EXPECT_EQ(run("translate --input " + write(vector(kTcr, "3"))), 0) << said_;
  EXPECT_TRUE(said("page of 4KB -> 0x8000")) << said_;
  EXPECT_TRUE(said("PA 0x8234")) << said_;
  EXPECT_EQ(run("translate --va 0x9000 --reg tcr=" + kTcr), 0);
  EXPECT_TRUE(said("translation fault, level 0; ESR_EL1 0x96000004")) << said_;
  EXPECT_EQ(run("translate --va 0x9000 --reg tcx=1"), 2);
  EXPECT_TRUE(said("did you mean 'tcr'")) << said_;
}

TEST_F(ConformCommand, WithoutStage1TheVectorsOfTestsReportedAgree) {
  EXPECT_EQ(run("conform " + kpksim::test::quoted_source_path("tests/reported/mmu-off.jsonl")), 0)
      << said_;
  EXPECT_TRUE(said("3 of 3 vectors agree")) << said_;
}

TEST_F(ConformCommand, TranslateSaysWhatBecomesOfTheTopByteWithoutStage1) {
  EXPECT_EQ(run("translate --va 0xff00000000001000 --reg sctlr=0"), 0) << said_;
  EXPECT_TRUE(said("with its top byte is physical, of 48 bits")) << said_;
  EXPECT_TRUE(said("address-size fault, level 0; ESR_EL1 0x96000000")) << said_;
  EXPECT_EQ(run("translate --va 0xff00000000001000 --reg sctlr=0 --reg tcr=0x2000000000"), 0);
  EXPECT_TRUE(said("without its top byte (TBI)")) << said_;
  EXPECT_TRUE(said("result   PA 0x1000")) << said_;
}

TEST_F(ConformCommand, TranslateShowsAWorkloadPausedBetweenOperations) {
  const std::string path = (folder_ / "w.json").string();
  std::ofstream(path) << R"({"name":"w","phases":[{"name":"all","ops":[
    {"op":"spawn","task":"p"},
    {"op":"mmap","task":"p","region":"h","size":"64K","prot":"rw"},
    {"op":"touch","task":"p","region":"h","access":"write"},
    {"op":"munmap","task":"p","region":"h"}]}]})";
  EXPECT_EQ(run("translate --memory 1G --el 0 -w " + path + " --at all:2"), 0) << said_;
  EXPECT_TRUE(said("translation fault")) << said_;
  EXPECT_EQ(run("translate --memory 1G --el 0 --kind W -w " + path + " --at all:3"), 0) << said_;
  EXPECT_TRUE(said("page of 4KB")) << said_;
  EXPECT_TRUE(said("unprivileged RW-")) << said_;
  EXPECT_EQ(run("translate --memory 1G -w " + path + " --at al:1"), 2);
  EXPECT_TRUE(said("did you mean 'all'")) << said_;
  EXPECT_EQ(run("translate --memory 1G -w " + path + " --at all:4"), 2);
  EXPECT_TRUE(said("operations 0 to 3")) << said_;
}

TEST(IllegalFields, AHalfThatIsNeverWalkedIsNotJudged) {
  kpksim::mmu::Registers regs;
  regs.sctlr = 1;
  regs.tcr = 0x500180010;  // TG1 = 0b00 is reserved
  EXPECT_EQ(kpksim::mmu::illegal_fields(regs).size(), 1u);
  regs.tcr = kpksim::mmu::tcr::kEpd1.set(regs.tcr, 1);
  EXPECT_TRUE(kpksim::mmu::illegal_fields(regs).empty());
  regs.tcr = 0;
  EXPECT_FALSE(kpksim::mmu::illegal_fields(regs).empty());
  regs.sctlr = 0;
  EXPECT_TRUE(kpksim::mmu::illegal_fields(regs).empty());
}

}  // namespace
