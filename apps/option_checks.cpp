// See option_checks.h.
#include "apps/option_checks.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

namespace moga {
namespace {

struct Range {
  int64_t low = std::numeric_limits<int64_t>::min(), high = std::numeric_limits<int64_t>::max();
};

// What an option of this name takes in every command that has it; without an entry it is any number of 64 bits here,
// and the command says what it expects. Bounds are those of the configs that the options set.
struct Known {
  std::string_view option;
  Range range;
};
constexpr int64_t kAny = std::numeric_limits<int64_t>::max();
constexpr std::array kKnown = {
    Known{"--steps", {1, 100'000}},       Known{"--full-steps", {0, 100'000}}, Known{"--gpus", {1, 1024}},
    Known{"--port", {0, 65'535}},         Known{"--repeats", {1, 100'000}},    Known{"--count", {1, kAny}},
    Known{"--stories", {1, kAny}},        Known{"--batch", {1, kAny}},         Known{"--first-seed", {0, kAny}},
    Known{"--observed-steps", {1, kAny}},
};

Range range_of(const std::string& option) {
  const auto known = std::ranges::find(kKnown, option, &Known::option);
  return known == kKnown.end() ? Range{} : known->range;
}

// Returns an empty string, or the error, as CLI11 expects of a validator.
std::string problem_of(const std::string& text, const Range& range) {
  const char* begin = text.data() + (text.starts_with('+') ? 1 : 0);
  int64_t value = 0;
  const auto [end, error] = std::from_chars(begin, text.data() + text.size(), value);
  const bool whole = error == std::errc() && end == text.data() + text.size();
  if (!whole && error != std::errc::result_out_of_range) return "is '" + text + "', expected a whole number";
  if (whole && value >= range.low && value <= range.high) return "";
  return "is " + text + ", expected a whole number from " + std::to_string(range.low) +
         (range.high == kAny && range.low >= 0 ? " on" : " to " + std::to_string(range.high));
}

}  // namespace

void check_whole_numbers(CLI::App& app) {
  for (CLI::Option* option : app.get_options()) {
    if (!option->get_type_name().starts_with("INT")) continue;
    const Range range = range_of("--" + option->get_single_name());
    option->check(CLI::Validator([range](std::string& text) { return problem_of(text, range); }, "", ""));
  }
  for (CLI::App* command : app.get_subcommands([](CLI::App*) { return true; })) check_whole_numbers(*command);
}

}  // namespace moga
