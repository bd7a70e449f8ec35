#pragma once
// The program, run as a user runs it: with a scratch folder of the test's own.

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <valijson/adapters/nlohmann_json_adapter.hpp>
#include <valijson/schema.hpp>
#include <valijson/schema_parser.hpp>
#include <valijson/validator.hpp>

#include "tests/paths.h"
#include "tests/scratch.h"

namespace kpksim::test {

// What a document breaks of a schema; empty if nothing.
inline std::string violation(const std::string& document, const std::string& schema_text) {
  const auto schema_json = nlohmann::json::parse(schema_text);
  const auto json = nlohmann::json::parse(document);
  valijson::Schema schema;
  valijson::SchemaParser().populateSchema(valijson::adapters::NlohmannJsonAdapter(schema_json),
                                          schema);
  valijson::ValidationResults results;
  valijson::Validator().validate(schema, valijson::adapters::NlohmannJsonAdapter(json), &results);
  std::string text;
  for (const auto& error : results) {
    for (const std::string& part : error.context) text += part;
    text += ": " + error.description + "\n";
  }
  return text;
}

class CommandLine : public testing::Test {
 protected:
  CommandLine() {
    std::string name = testing::UnitTest::GetInstance()->current_test_info()->name();
    for (char& c : name) c = c == '/' ? '-' : c;
    folder_ = scratch_folder() / name;
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
  }
  ~CommandLine() override { std::filesystem::remove_all(folder_); }

  std::string file(const std::string& name) const { return (folder_ / name).string(); }
  std::string write(const std::string& name, const std::string& text) const {
    std::ofstream(file(name), std::ios::binary) << text;
    return file(name);
  }
  static std::string read(const std::string& path) {
    std::ostringstream text;
    text << std::ifstream(path, std::ios::binary).rdbuf();
    return text.str();
  }
  // What a shell says to `command` in the scratch folder, in which $KPKSIM is the program. What it
  // printed on stderr is in message_, and on stdout in the file "out" unless it went elsewhere.
  int shell(const std::string& command) {
    const std::string whole = "cd '" + folder_.string() + "' && KPKSIM=" + kpksim_binary() +
                              " && (" + command + ") >" + file("out") + " 2>" + file("err");
    const int status = std::system(whole.c_str());
    message_ = read(file("err"));
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  int run(const std::string& arguments) { return shell("\"$KPKSIM\" " + arguments); }
  std::string printed() const { return read(file("out")); }

  std::filesystem::path folder_;
  std::string message_;
};

inline constexpr const char* kSmallWorkload = R"({"name":"small","phases":[{"name":"all","ops":[
  {"op":"spawn","task":"p"},
  {"op":"mmap","task":"p","region":"h","size":"1M","prot":"rw"},
  {"op":"touch","task":"p","region":"h","access":"write"},
  {"op":"fork","task":"p","child":"c"},
  {"op":"exit","task":"c"},
  {"op":"munmap","task":"p","region":"h"}]}]})";

}  // namespace kpksim::test
