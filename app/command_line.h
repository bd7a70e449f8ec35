#pragma once
// How subcommands read their options (Boost.Program_options): the same everywhere.

#include <boost/program_options/options_description.hpp>
#include <boost/program_options/value_semantic.hpp>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <limits>
#include <memory>
#include <set>
#include <string>
#include <vector>

// The kinds of values that options have are compiled in command_line.cc alone.
namespace boost::program_options {
extern template class typed_value<bool>;
extern template class typed_value<unsigned>;
extern template class typed_value<std::string>;
extern template void typed_value<std::vector<std::string>>::xparse(
    boost::any&, const std::vector<std::string>&) const;
}  // namespace boost::program_options

namespace kpksim::app {

// What may stand in the place of a value that begins with `begun`: whole values, for completion.
using Words = std::function<std::vector<std::string>(const std::string& begun)>;

// These, whatever was begun.
Words only(const std::vector<std::string>& choices);

// A value that says so.
class Completed {
 public:
  Completed(Words words, bool files) : words_(std::move(words)), files_(files) {}
  virtual ~Completed() = default;

  std::vector<std::string> words(const std::string& begun) const;
  bool files() const { return files_; }  // names of files besides

 private:
  Words words_;
  bool files_;
};

// An argument without a name: which value takes it, and up to how many of them (-1: all).
struct Unnamed {
  const char* name;
  const boost::program_options::value_semantic* value;
  int most;
};

// Reads `arguments` by `options`, to which --help is added, and by `unnamed`, in their order.
// False: they asked for help, which is printed, with `examples` (lines of commands) below it.
// `given`: the names of those that were there, not those that keep their defaults.
// Errors are boost's, or InputError: an unknown option (with the nearest one), or from a value.
bool read_command_line(const std::vector<std::string>& arguments,
                       boost::program_options::options_description& options, const char* examples,
                       std::initializer_list<Unnamed> unnamed = {},
                       std::set<std::string>* given = nullptr);

// The values of options. `option` is its name in messages: "--cores". boost's own conversions take
// -1 for the largest unsigned number, and an empty text for one that was not given.

using TextOption = boost::program_options::typed_value<std::string>;
using TextsOption = boost::program_options::typed_value<std::vector<std::string>>;

// A whole number from `least` to `most`, in decimal digits.
TextOption* number_option(const char* option, std::uint64_t& target, std::uint64_t least = 0,
                          std::uint64_t most = std::numeric_limits<std::uint64_t>::max());
TextOption* number_option(const char* option, unsigned& target, unsigned least = 0,
                          unsigned most = std::numeric_limits<unsigned>::max());
// A text that is not empty: one of `words`, or else often the name of a file.
TextOption* text_option(const char* option, std::string& target, Words words = {});
// Any number of them.
TextsOption* texts_option(const char* option, std::vector<std::string>& target, Words words = {});
// One of `choices`; InputError with the nearest otherwise. What takes `target` may be optional:
// an argument that was not given is not looked at.
TextOption* choice_option(const char* option, std::string& target,
                          const std::vector<std::string>& choices);
TextsOption* choices_option(const char* option, std::vector<std::string>& target,
                            const std::vector<std::string>& choices);
// --jobs: threads, as many as there are processors unless told otherwise.
TextOption* jobs_option(unsigned& target);

// What a command line may have, as read_command_line() is told it: for the manual and completion.
struct OptionText {
  std::string name, letter;  // "policy", "p"; without a letter empty
  std::string value;         // "arg (=8G)"; empty: it takes none
  std::string description;
  const Completed* completed = nullptr;  // kept alive by `kept`
};
struct Described {
  std::vector<std::string> synopsis;  // each way to call it
  std::string text;
  std::vector<OptionText> options;
  std::vector<const Completed*> unnamed;  // by their order; null: nothing is known of it
  bool last_unnamed_repeats = false;
  std::string examples;
  std::vector<std::shared_ptr<const void>> kept;
};
// Of a command, which is called with `arguments` and --help, and prints nothing.
Described describe(int (*command)(const std::vector<std::string>&),
                   const std::vector<std::string>& arguments = {});

// One of `known`, or InputError with the nearest.
void check_choice(const char* option, const std::string& given,
                  const std::vector<std::string>& known);

// A command, or a part of one that is called by a word of its own: kpksim validate kernel.
struct CommandInfo {
  const char* name;
  const char* arguments;  // as the list of commands shows them
  const char* does;       // in a line or two
  int (*run)(const std::vector<std::string>&);
  std::vector<CommandInfo> parts = {};
  bool only_parts = false;  // it does nothing without the word of a part
};

}  // namespace kpksim::app
