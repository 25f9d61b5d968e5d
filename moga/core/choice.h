// Choices among names: one table per enum, which config files, help texts and errors all read.
//
//   enum class Gate { kProbability, kNone };
//   template <>
//   inline constexpr auto kChoices<Gate> = std::array{
//       Choice{Gate::kProbability, "probability", "p(g(x)|x), as in the paper"},
//       Choice{Gate::kNone, "none", "no gate"},
//   };
//
//   name_of(Gate::kNone)           "none"
//   choice<Gate>("gate", "nine")   throws "gate 'nine' is not one of probability, none; did you mean 'none'?"
//   choice_help<Gate>()            "probability: p(g(x)|x), as in the paper; none: no gate"
//
// A field of such an enum in a config struct is read and written by its name (config.h).
#pragma once

#include <array>
#include <concepts>
#include <string>
#include <type_traits>
#include <vector>

#include "moga/core/check.h"
#include "moga/core/nearest.h"

namespace moga {

template <class Enum>
struct Choice {
  Enum value;
  const char* name;
  const char* help;
};

// Specialised next to each enum that has names.
template <class Enum>
inline constexpr std::array<Choice<Enum>, 0> kChoices{};

template <class Enum>
concept HasChoices = std::is_enum_v<Enum> &&(kChoices<Enum>.size() > 0);

template <HasChoices Enum>
const char* name_of(Enum value) {
  for (const auto& choice : kChoices<Enum>)
    if (choice.value == value) return choice.name;
  fail("enum value ", static_cast<long>(value), " has no name");
}

template <HasChoices Enum>
std::vector<std::string> choice_names() {
  std::vector<std::string> names;
  for (const auto& choice : kChoices<Enum>) names.emplace_back(choice.name);
  return names;
}

// "probability, straight_through, none"
template <HasChoices Enum>
std::string choice_list() {
  std::string list;
  for (const auto& choice : kChoices<Enum>) list += (list.empty() ? "" : ", ") + std::string(choice.name);
  return list;
}

template <HasChoices Enum>
std::string choice_help() {
  std::string help;
  for (const auto& choice : kChoices<Enum>)
    help += (help.empty() ? "" : "; ") + std::string(choice.name) + ": " + choice.help;
  return help;
}

// The value named `name`; `what` is the setting's name in the error.
template <HasChoices Enum>
Enum choice(const std::string& what, const std::string& name) {
  for (const auto& choice : kChoices<Enum>)
    if (name == choice.name) return choice.value;
  fail(what, " '", name, "' is not one of ", choice_list<Enum>(), did_you_mean(name, choice_names<Enum>()));
}

}  // namespace moga
