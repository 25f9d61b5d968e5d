// See option_checks.h.
#include "apps/option_checks.h"

#include <charconv>
#include <cstdint>
#include <limits>
#include <string>

namespace moga {
namespace {

// Returns an empty string, or the error, as CLI11 expects of a validator.
std::string problem_of(const std::string& text) {
  const char* begin = text.data() + (text.starts_with('+') ? 1 : 0);
  int64_t value = 0;
  const auto [end, error] = std::from_chars(begin, text.data() + text.size(), value);
  if (error == std::errc::result_out_of_range)
    return "is " + text + ", expected a whole number from " + std::to_string(std::numeric_limits<int64_t>::min()) +
           " to " + std::to_string(std::numeric_limits<int64_t>::max());
  return error == std::errc() && end == text.data() + text.size() ? "" : "is '" + text + "', expected a whole number";
}

}  // namespace

void check_whole_numbers(CLI::App& app) {
  for (CLI::Option* option : app.get_options())
    if (option->get_type_name().starts_with("INT")) option->check(CLI::Validator(problem_of, "", ""));
  for (CLI::App* command : app.get_subcommands([](CLI::App*) { return true; })) check_whole_numbers(*command);
}

}  // namespace moga
