// kpksim keys as a user runs it.

#include "tests/command_line.h"

namespace kpksim {
namespace {

using test::CommandLine;
using test::kSmallWorkload;

nlohmann::json row(const nlohmann::json& document, unsigned budget, const std::string& strategy) {
  for (const auto& r : document["rows"]) {
    if (r["budget"] == budget && r["strategy"] == strategy) return r;
  }
  return {};
}

class Keys : public CommandLine {};

TEST_F(Keys, TheDocumentFollowsItsSchemaWhateverTheNumberOfThreads) {
  write("w.json", kSmallWorkload);
  ASSERT_EQ(run("keys -j 1 -m 1G --budget 6,12,128 -f json w.json"), 0) << message_;
  const std::string one = printed();
  EXPECT_EQ(test::violation(one, read(test::source_path("docs/keys.schema.json"))), "");
  ASSERT_EQ(run("keys -j 4 -m 1G --budget 6,12,128 -o k.json w.json"), 0) << message_;
  EXPECT_EQ(one, read(file("k.json")));
}

// What is weighed is what credentials have at the end of a run: 2048 from boot on, 21 in each slab.
TEST_F(Keys, CredentialsHaveTheBytesOfTheirSlabs) {
  write("w.json", kSmallWorkload);
  ASSERT_EQ(run("keys -m 1G --budget 12 -s dedicated -f json w.json"), 0) << message_;
  const auto cred = nlohmann::json::parse(printed())["classes"][1];
  EXPECT_EQ(cred["name"], "cred");
  EXPECT_GE(cred["bytes"], 98 * 4096);
}

// Ten classes and key 0: eleven keys are the first budget with a key for each.
TEST_F(Keys, TheFindingIsTheLeastBudgetThatGivesNothingAway) {
  write("w.json", kSmallWorkload);
  ASSERT_EQ(run("keys -m 1G --budget 4..13 -f json w.json"), 0) << message_;
  const auto document = nlohmann::json::parse(printed());
  EXPECT_EQ(document["finding"].get<std::string>().find("From 11 keys on nothing is gained"), 0u)
      << document["finding"];
  EXPECT_TRUE(row(document, 10, "dedicated").contains("refused"));
  EXPECT_EQ(row(document, 11, "dedicated")["unneeded_byte_cycles"], 0);
  EXPECT_GT(row(document, 4, "optimal")["unneeded_byte_cycles"], 0);
  // Levels let a context write all below its own, whatever the budget.
  EXPECT_GT(row(document, 13, "hierarchical")["unneeded_byte_cycles"], 0);
}

TEST_F(Keys, VirtualKeysPayByKeyingInsteadOfSharing) {
  write("w.json", kSmallWorkload);
  ASSERT_EQ(run("keys -m 1G --budget 7,14 -s virtualised -s optimal -f json w.json"), 0)
      << message_;
  const auto document = nlohmann::json::parse(printed());
  const auto few = row(document, 7, "virtualised"), many = row(document, 14, "virtualised");
  EXPECT_GT(few["evictions"], 0);
  EXPECT_EQ(many["evictions"], 0);
  EXPECT_GT(few["tlbi"], many["tlbi"]);
  EXPECT_EQ(few["unneeded_byte_cycles"], 0);
  EXPECT_EQ(few["reaches_more"], 0);
  EXPECT_GT(row(document, 7, "optimal")["reaches_more"], 0);
}

TEST_F(Keys, TheSanitizerWatchesEachRunIfItIsAsked) {
  write("w.json", kSmallWorkload);
  const std::string common = "keys -q -m 1G --budget 7,12 -s virtualised -s optimal ";
  ASSERT_EQ(run(common + "-f json w.json"), 0) << message_;
  auto without = nlohmann::json::parse(printed());
  ASSERT_EQ(run(common + "--check -f json w.json"), 0) << message_;
  EXPECT_EQ(test::violation(printed(), read(test::source_path("docs/keys.schema.json"))), "");
  auto checked = nlohmann::json::parse(printed());
  EXPECT_EQ(checked["findings"], 0);
  checked.erase("findings");
  EXPECT_EQ(checked, without);
  const std::string fault = "--set 'machine:/inject=[\"skip:tlbi.fork-parent\"]' ";
  EXPECT_EQ(run(common + fault + "--check -o k.json w.json"), 1) << message_;
  EXPECT_NE(printed().find("12 keys, optimal"), std::string::npos) << printed();
  EXPECT_NE(printed().find("stale-entry"), std::string::npos) << printed();
  EXPECT_GE(nlohmann::json::parse(read(file("k.json")))["findings"], 4);
  EXPECT_EQ(run(common + fault + "w.json"), 0) << message_;
}

TEST_F(Keys, MistakesAreToldWithWhatIsExpected) {
  write("w.json", kSmallWorkload);
  const auto says = [&](const std::string& arguments, const std::string& message) {
    EXPECT_EQ(run("keys " + arguments), 2) << arguments;
    EXPECT_NE(message_.find(message), std::string::npos) << message_;
  };
  says("--budget 8..4 w.json", "--budget: '8..4' is no range; expected from 2 to 128 at most");
  says("--budget many w.json", "--budget: 'many' is no number of keys");
  says("--budget 1 w.json", "a budget of 1 keys: expected 2 to 128");
  says("--strategy optmal w.json", "'optmal' is not a strategy; did you mean 'optimal'?");
  says("--classes linus w.json",
       "--classes: 'linus' is neither a file nor shipped classes; did you mean 'linux'?");
  says("-p none,buddy,pte w.json", "protected classes need 'kpkeys-poe'");
  says("--budget 8", "no workload given");
}

}  // namespace
}  // namespace kpksim
