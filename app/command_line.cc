#include "app/command_line.h"

#include <fmt/core.h>

#include <algorithm>
#include <boost/program_options/parsers.hpp>
#include <boost/program_options/positional_options.hpp>
#include <boost/program_options/variables_map.hpp>
#include <charconv>
#include <iostream>
#include <sstream>
#include <thread>

#include "sim/base/error.h"

namespace boost::program_options {
template class typed_value<bool>;
template class typed_value<unsigned>;
template class typed_value<std::string>;
template void typed_value<std::vector<std::string>>::xparse(boost::any&,
                                                            const std::vector<std::string>&) const;
}  // namespace boost::program_options

namespace kpksim::app {

namespace po = boost::program_options;

namespace {

constexpr unsigned kMaxJobs = 1024;

std::vector<std::string> names_of(const po::options_description& options) {
  std::vector<std::string> names;
  for (const auto& option : options.options()) names.push_back("--" + option->long_name());
  return names;
}

std::uint64_t parse_whole(const char* option, const std::string& text, std::uint64_t least,
                          std::uint64_t most) {
  std::uint64_t n = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, n);
  if (error != std::errc{} || rest != end || n < least || n > most) {
    throw InputError(
        fmt::format("{}: '{}' is not a whole number from {} to {}", option, text, least, most));
  }
  return n;
}

void refuse_empty(const char* option, const std::string& text) {
  if (text.empty()) throw InputError(fmt::format("{}: '' is empty; expected a value", option));
}

// A value with words that may stand in its place.
template <class T>
class CompletedOption : public po::typed_value<T>, public Completed {
 public:
  CompletedOption(T* target, Words words, bool files)
      : po::typed_value<T>(target), Completed(std::move(words), files) {}
};

// The words that only() gives. Nothing else fits, no file either.
struct Only {
  std::vector<std::string> choices;
  std::vector<std::string> operator()(const std::string& /*begun*/) const { return choices; }
};

bool files_fit(const Words& words) { return words.target<Only>() == nullptr; }

// Where describe() wants what read_command_line() is told.
Described* describing = nullptr;

// "caption:", and a line for each option, indented.
std::string help_of(const po::options_description& options) {
  std::ostringstream text;
  text << options;
  return text.str();
}
constexpr const char* kBeforeOptions = ":\n  -";

// boost's pointer, in the standard's.
std::shared_ptr<const void> keep(const boost::shared_ptr<const po::value_semantic>& value) {
  return {value.get(), [value](const void*) {}};
}

void describe_options(const po::options_description& options, Described& out) {
  const std::string help = help_of(options);
  std::istringstream lines(help.substr(0, help.find(kBeforeOptions)));
  for (std::string line; std::getline(lines, line);) {
    if (out.text.empty() && line.starts_with("kpksim ")) {
      out.synopsis.push_back(line);
    } else {
      out.text += line + "\n";
    }
  }
  for (const auto& option : options.options()) {
    const auto semantic = option->semantic();
    OptionText one{option->long_name(), "", "", option->description(),
                   dynamic_cast<const Completed*>(semantic.get())};
    const std::string name = option->format_name();  // "-p [ --policy ]" or "--policy"
    if (name.size() > 2 && name[1] != '-') one.letter = name.substr(1, 1);
    if (semantic->max_tokens() > 0) one.value = option->format_parameter();
    out.options.push_back(std::move(one));
    out.kept.push_back(keep(semantic));
  }
}

void describe_unnamed(const po::options_description& all, std::initializer_list<Unnamed> unnamed,
                      Described& out) {
  for (const Unnamed& u : unnamed) {
    const auto semantic = all.find(u.name, false).semantic();
    out.unnamed.push_back(dynamic_cast<const Completed*>(semantic.get()));
    out.last_unnamed_repeats = u.most < 0;
    out.kept.push_back(keep(semantic));
  }
}

}  // namespace

Words only(const std::vector<std::string>& choices) { return Only{choices}; }

std::vector<std::string> Completed::words(const std::string& begun) const {
  std::vector<std::string> out = words_ ? words_(begun) : std::vector<std::string>{};
  std::erase_if(out, [&](const std::string& word) { return !word.starts_with(begun); });
  return out;
}

Described describe(int (*command)(const std::vector<std::string>&),
                   const std::vector<std::string>& arguments) {
  Described out;
  describing = &out;
  std::vector<std::string> asked = arguments;
  asked.emplace_back("--help");
  command(asked);
  describing = nullptr;
  return out;
}

bool read_command_line(const std::vector<std::string>& arguments, po::options_description& options,
                       const char* examples, std::initializer_list<Unnamed> unnamed,
                       std::set<std::string>* given) {
  options.add_options()("help,h", "this text");
  po::options_description all;
  all.add(options);
  po::positional_options_description positional;
  for (const Unnamed& u : unnamed) {
    all.add_options()(u.name, u.value);
    positional.add(u.name, u.most);
  }
  if (describing != nullptr) {
    describe_options(options, *describing);
    describe_unnamed(all, unnamed, *describing);
    describing->examples = examples;
    return false;
  }
  po::variables_map values;
  try {
    po::store(po::command_line_parser(arguments).options(all).positional(positional).run(), values);
  } catch (const po::unknown_option& e) {
    throw InputError(fmt::format("'{}' is not an option{}", e.get_option_name(),
                                 suggest(e.get_option_name(), names_of(options))));
  } catch (const po::too_many_positional_options_error&) {
    throw InputError("too many arguments; --help says what is expected");
  }
  if (values.count("help") != 0) {
    std::string help = help_of(options);
    help.replace(help.find(kBeforeOptions), 1, "\n\nOptions:");
    std::cout << help << "\nExamples:\n" << examples;
    return false;
  }
  po::notify(values);
  for (const auto& [name, value] : values) {
    if (given != nullptr && !value.defaulted()) given->insert(name);
  }
  return true;
}

TextOption* number_option(const char* option, std::uint64_t& target, std::uint64_t least,
                          std::uint64_t most) {
  return po::value<std::string>()->notifier(
      [=, &target](const std::string& text) { target = parse_whole(option, text, least, most); });
}

TextOption* number_option(const char* option, unsigned& target, unsigned least, unsigned most) {
  return po::value<std::string>()->notifier([=, &target](const std::string& text) {
    target = static_cast<unsigned>(parse_whole(option, text, least, most));
  });
}

TextOption* text_option(const char* option, std::string& target, Words words) {
  const bool files = files_fit(words);
  return (new CompletedOption<std::string>(&target, std::move(words), files))
      ->notifier([=](const std::string& text) { refuse_empty(option, text); });
}

TextsOption* texts_option(const char* option, std::vector<std::string>& target, Words words) {
  const bool files = files_fit(words);
  return (new CompletedOption<std::vector<std::string>>(&target, std::move(words), files))
      ->composing()
      ->notifier([=](const std::vector<std::string>& texts) {
        for (const std::string& text : texts) refuse_empty(option, text);
      });
}

TextOption* choice_option(const char* option, std::string& target,
                          const std::vector<std::string>& choices) {
  return (new CompletedOption<std::string>(&target, only(choices), false))
      ->notifier([=](const std::string& text) { check_choice(option, text, choices); });
}

TextsOption* choices_option(const char* option, std::vector<std::string>& target,
                            const std::vector<std::string>& choices) {
  return (new CompletedOption<std::vector<std::string>>(&target, only(choices), false))
      ->composing()
      ->notifier([=](const std::vector<std::string>& texts) {
        for (const std::string& text : texts) check_choice(option, text, choices);
      });
}

TextOption* jobs_option(unsigned& target) {
  return number_option("--jobs", target, 1, kMaxJobs)
      ->default_value(std::to_string(std::max(1u, std::thread::hardware_concurrency())),
                      "one for each processor");
}

void check_choice(const char* option, const std::string& given,
                  const std::vector<std::string>& known) {
  if (std::find(known.begin(), known.end(), given) != known.end()) return;
  throw InputError(fmt::format("{}: '{}' is not known{}", option, given, suggest(given, known)));
}

}  // namespace kpksim::app
