// kpksim plot: what a figure shows is what the documents say, and the pictures are of that.

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "sim/figure/figure.h"
#include "tests/command_line.h"

namespace kpksim::test {
namespace {

using nlohmann::json;

class Plot : public CommandLine {
 protected:
  Plot() { write("small.json", kSmallWorkload); }

  void compare(const std::string& options = "") {
    ASSERT_EQ(run("compare -q -o r.json -p none,buddy,pte -p kpkeys-poe,per-page,pte "
                  "-p kpkeys-poe+lazy,pba,block " +
                  options + " small.json"),
              0)
        << message_;
  }
  void sweep() {
    write("s.json", R"({"name":"s","base":{"workload":"small.json","set":{"machine:/memory":"1G"}},
      "space":[{"grid":{"policy":["none,buddy,pte","kpkeys-poe,per-page,pte"],
                        "core:/tlb/l2/sets":[512,256],"core:/cycles/isb":[27,30,35]}}]})");
    ASSERT_EQ(run("sweep -q s.json"), 0) << message_;
  }
  // Lines of the data of a figure, without the head.
  std::vector<std::string> drawn(const std::string& arguments) {
    EXPECT_EQ(run("plot " + arguments + " -o f.csv"), 0) << message_;
    std::istringstream text(read(file("f.csv")));
    std::vector<std::string> lines;
    for (std::string line; std::getline(text, line);) lines.push_back(line);
    if (!lines.empty()) lines.erase(lines.begin());
    return lines;
  }
  json document() const { return json::parse(read(file("r.json"))); }
  bool says(const std::string& what) const { return message_.find(what) != std::string::npos; }
  bool draws() {
    return shell("python3 -c 'import matplotlib' || /usr/bin/python3 -c 'import matplotlib'") == 0;
  }
};

TEST_F(Plot, AValueIsTheDocuments) {
  compare();
  const auto lines = drawn("r.json --x policy --y events.isb.total");
  ASSERT_EQ(lines.size(), 3u);
  for (std::size_t i = 0; i < 3; ++i) {
    const json run = document()["runs"][i];
    EXPECT_EQ(lines.at(i), ",,\"" + run["configuration"]["policy"].get<std::string>() + "\"," +
                               run["total"]["events"]["isb"]["total"].dump() + ",,,1");
  }
}

TEST_F(Plot, PhasesAreDrawnIfTheyAreAskedForAndTheTotalIsNoneOfThem) {
  compare();
  EXPECT_EQ(drawn("r.json --x phase --y cycles.total --series policy").size(), 3u);
  const auto lines = drawn("r.json --x policy --y cycles.total --where phase=all");
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_EQ(lines.at(0), ",,\"none,buddy,pte\"," +
                             document()["runs"][0]["phases"][0]["cycles"]["total"].dump() + ",,,1");
}

TEST_F(Plot, AStarIsASumAndASlashARatio) {
  compare();
  const json total = document()["runs"][1]["total"];
  std::uint64_t sum = 0;
  for (const auto& [name, event] : total["events"].items()) {
    if (name.starts_with("tlbi_")) sum += event["total"].get<std::uint64_t>();
  }
  ASSERT_GT(sum, 0u);
  EXPECT_EQ(drawn("r.json --x policy --y 'events.tlbi_*.total'").at(1),
            ",,\"kpkeys-poe,per-page,pte\"," + std::to_string(sum) + ",,,1");
  const std::string ratio = drawn("r.json --x policy --y 'cycles.total / events.isb.total'").at(1);
  const double expected =
      total["cycles"]["total"].get<double>() / total["events"]["isb"]["total"].get<double>();
  EXPECT_NEAR(std::stod(ratio.substr(ratio.find("pte\",") + 5)), expected, expected * 1e-5);
}

TEST_F(Plot, AVerdictIsTheDocumentsAndTheMeanOverScenariosAShareWithoutAnInterval) {
  ASSERT_EQ(run("attack -q -o a.json -p none,buddy,pte dirty-pagetable after-unmarking bit-flip"),
            0)
      << message_;
  const json scenarios = json::parse(read(file("a.json")))["scenarios"];
  const auto cells = drawn("a.json --x policy --y scenario --z succeeded");
  ASSERT_EQ(cells.size(), 3u);
  double sum = 0;
  for (std::size_t i = 0; i < 3; ++i) {
    const json verdict = scenarios[i]["verdicts"][0];
    const double percent =
        100 * verdict["successes"].get<double>() / verdict["draws"].get<double>();
    sum += percent;
    const std::string name = scenarios[i]["name"];
    EXPECT_TRUE(std::any_of(cells.begin(), cells.end(), [&](const std::string& line) {
      const std::size_t at = line.find("," + name + ",");
      return at != std::string::npos && std::stod(line.substr(at + name.size() + 2)) == percent;
    })) << name;
  }
  ASSERT_GT(sum, 0);
  ASSERT_LT(sum, 300);
  const auto share = drawn("a.json --x policy --y succeeded");
  ASSERT_EQ(share.size(), 1u);
  const std::string numbers = share[0].substr(share[0].find("pte\",") + 5);
  EXPECT_NEAR(std::stod(numbers), sum / 3, 1e-3);
  EXPECT_EQ(numbers.substr(numbers.find(',')), ",,,3");
}

TEST_F(Plot, AnOverheadHasTheIntervalOfItsDraws) {
  compare("--uncertainty 20");
  const json policy = document()["uncertainty"][0]["phases"].back()["policies"][1];
  const auto lines = drawn("r.json --x policy --y overhead.median");
  std::istringstream numbers(lines.at(1).substr(lines.at(1).find("pte\",") + 5));
  double median = 0, low = 0, high = 0;
  char comma = 0;
  numbers >> median >> comma >> low >> comma >> high;
  EXPECT_DOUBLE_EQ(low, policy["overhead_percent"][0].get<double>());
  EXPECT_DOUBLE_EQ(median, policy["overhead_percent"][1].get<double>());
  EXPECT_DOUBLE_EQ(high, policy["overhead_percent"][2].get<double>());
}

// It has one phase, whose draws are those of the total.
TEST_F(Plot, TheOnlyPhaseHasTheOverheadOfTheTotal) {
  compare("--uncertainty 5");
  const std::string median = "r.json --x policy --y overhead.median";
  const auto lines = drawn(median + " --where phase=all");
  EXPECT_EQ(lines, drawn(median));
  EXPECT_EQ(lines.size(), 3u);
}

// What was not compared is not drawn as nothing more.
TEST_F(Plot, ARowWithoutDrawsHasNoMedian) {
  compare("--uncertainty 5");
  ASSERT_EQ(run("compare -q --cores 2 -o two.json -p none,buddy,pte -p kpkeys-poe,per-page,pte "
                "small.json"),
            0);
  const auto lines = drawn("r.json two.json --x policy --y overhead.median --series cores");
  EXPECT_EQ(lines.size(), 3u);
}

TEST_F(Plot, AnInputIsNotReplaced) {
  compare();
  const std::string before = read(file("r.json"));
  for (const char* output : {"-o r.json", "--keep -o r.svg"}) {
    EXPECT_EQ(run(std::string("plot r.json --x policy --y overhead ") + output), 2);
    EXPECT_TRUE(says("r.json is an input too")) << message_;
  }
  EXPECT_EQ(run("report r.json -o r.json"), 2);
  EXPECT_EQ(run("keys -q small.json --budget 8 -o small.json"), 2);
  EXPECT_EQ(read(file("r.json")), before);
}

TEST_F(Plot, OverAnotherRowIsInPercentOfWhatIsElseTheSame) {
  sweep();
  ASSERT_EQ(run("sweep export -f jsonl s.sqlite"), 0);
  std::map<std::string, std::map<std::string, double>> cycles;  // by the other settings, by policy
  std::istringstream rows(printed());
  for (std::string line; std::getline(rows, line);) {
    const json row = json::parse(line), point = row["config"]["point"];
    if (point["core:/tlb/l2/sets"] != 256) continue;
    cycles[point["core:/cycles/isb"].dump()][point["policy"].get<std::string>()] =
        row["totals"]["cycles"]["total"].get<double>();
  }
  const auto lines = drawn(
      "s.sqlite --x core:/cycles/isb --y cycles.total --over policy=none,buddy,pte "
      "--where 'core:/tlb/l2/sets=256' --where policy!=none,buddy,pte");
  ASSERT_EQ(lines.size(), 3u);
  for (const std::string& line : lines) {
    const std::string isb = line.substr(2, 2);
    const double expected =
        (cycles[isb]["kpkeys-poe,per-page,pte"] / cycles[isb]["none,buddy,pte"] - 1) * 100;
    EXPECT_NEAR(std::stod(line.substr(5)), expected, 1e-3) << line;
  }
}

TEST_F(Plot, SeveralRowsAreTheirMeanWithAnIntervalAndTheUserIsTold) {
  sweep();
  const auto lines = drawn("s.sqlite --x core:/tlb/l2/sets --y cycles.total --series policy");
  EXPECT_TRUE(says("the mean of up to 3 rows")) << message_;
  ASSERT_EQ(lines.size(), 4u);
  EXPECT_EQ(lines.at(0).substr(0, 22), ",\"none,buddy,pte\",256,");  // numbers by their size
  EXPECT_EQ(lines.at(0).back(), '3');
  drawn(
      "s.sqlite --x core:/tlb/l2/sets --y cycles.total --series policy --panels core:/cycles/isb");
  EXPECT_EQ(message_, "");
}

TEST_F(Plot, ValuesThatHaveNamesComeFirst) {
  compare();
  const auto lines = drawn(
      "r.json --x policy --y cycles.total --name kpkeys-poe+lazy,pba,block=pba "
      "--name none,buddy,pte=unprotected");
  EXPECT_EQ(lines.at(0).substr(0, 6), ",,pba,");
  EXPECT_EQ(lines.at(1).substr(0, 14), ",,unprotected,");
}

TEST_F(Plot, AFrontHasThePointsOfWhichNoneIsLessInBoth) {
  figure::Request request;
  request.kind = figure::Kind::kPareto;
  request.x = "a";
  request.y = "b";
  std::vector<figure::Record> records;
  for (const auto& [a, b] :
       std::vector<std::pair<double, double>>{{3, 1}, {1, 3}, {2, 2}, {3, 3}, {2, 4}}) {
    records.push_back({{{"n", std::to_string(records.size())}}, {}, {{"a", a}, {"b", b}}, {}});
  }
  const figure::Figure figure = figure_of(records, request);
  const std::vector<std::pair<double, double>> expected = {{1, 3}, {2, 2}, {3, 1}};
  EXPECT_EQ(figure.panels.at(0).front, expected);
  EXPECT_EQ(figure.panels[0].series.at(0).points.size(), 5u);
}

TEST_F(Plot, WhatCannotBeDrawnIsSaid) {
  compare();
  const auto refused = [&](const std::string& arguments, const std::string& why) {
    EXPECT_EQ(run("plot " + arguments + " -o f.csv"), 2) << arguments;
    EXPECT_TRUE(says(why)) << arguments << ": " << message_;
  };
  refused("r.json --x polcy --y overhead", "--x: no row has 'polcy'; did you mean 'policy'?");
  refused("r.json --x policy --y cycles.totl", "did you mean 'cycles.total'?");
  refused("r.json --x policy --y window", "--y: 'none' of window is no number");
  refused("r.json --x cycles.total --y overhead --kind bars", "--x: 'cycles.total' is a total");
  refused("r.json --x policy --y window --kind heatmap", "expected --z");
  refused("r.json --x policy --y overhead --kind bar", "did you mean 'bars'?");
  refused("r.json --x policy --y overhead --where core=neoverse-v2", "no row is left");
  refused("r.json --x policy --y overhead --over policy=none,buddy,ptes",
          "did you mean 'none,buddy,pte'?");
  refused("r.json --x policy --y overhead --over window=none", "is not what tells rows apart");
  refused("r.json --x policy --y overhead --width 0.1", "is no number of inches");
  EXPECT_EQ(run("plot r.json --x policy --y overhead -o f.jpg"), 2);
  EXPECT_EQ(run("attack -q -o a.json -p none,buddy,pte after-unmarking"), 0);
  refused("a.json --x policy --y overhead", "no row has 'overhead'");
}

TEST_F(Plot, WithoutMatplotlibAMessageSaysWhatToInstall) {
  compare();
  EXPECT_EQ(shell("KPKSIM_PYTHON=./none \"$KPKSIM\" plot r.json --x policy --y overhead -o f.pdf"),
            3);
  EXPECT_TRUE(says("install python3-matplotlib")) << message_;
  EXPECT_FALSE(std::filesystem::exists(file("f.pdf")));
}

TEST_F(Plot, PicturesAreTheSameBytesEachTimeAlsoFromTheScriptThatIsKept) {
  if (!draws()) GTEST_SKIP() << "no matplotlib";
  compare("--uncertainty 5");
  sweep();
  const std::string kinds[] = {
      "r.json --x policy --y overhead",
      "s.sqlite --x core:/tlb/l2/sets --y cycles.total --series policy --panels core:/cycles/isb "
      "--log x",
      "s.sqlite --x core:/tlb/l2/sets --y policy --z cycles.total --width double",
      "s.sqlite --x events.walk.total --y cycles.total --series policy --kind pareto"};
  for (const std::string& kind : kinds) {
    for (const std::string format : {"svg", "pdf"}) {
      ASSERT_EQ(run("plot " + kind + " --keep -o a." + format), 0) << message_;
      const std::string again = printed().substr(0, printed().find(" >"));
      ASSERT_EQ(shell("$(which /usr/bin/python3 python3 | head -1)" +
                      again.substr(again.find(' ')) + " >b"),
                0)
          << message_;
      EXPECT_EQ(read(file("a." + format)), read(file("b"))) << kind;
    }
    EXPECT_NE(read(file("a.pdf")).find("/FontFile2"), std::string::npos)
        << "a font is not embedded";
    EXPECT_EQ(read(file("a.pdf")).find("/CreationDate"), std::string::npos);
    EXPECT_EQ(read(file("a.svg")).find("<dc:date>"), std::string::npos);
    EXPECT_EQ(read(file("a.svg")).find("font-family"), std::string::npos)
        << "text is not drawn as paths";
  }
}

}  // namespace
}  // namespace kpksim::test
