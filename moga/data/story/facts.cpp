// See facts.h.
#include "moga/data/story/facts.h"

#include <algorithm>

namespace moga {
namespace {

constexpr int64_t kLooks = 6, kAlways = 3;
constexpr int64_t kOfPerson = kLooks + kAlways;
constexpr int64_t kScene = 3;  // place, light, kind of shot

template <class E>
constexpr int64_t count_of() {
  return static_cast<int64_t>(E::count);
}

int64_t size_of(const std::vector<Palette::Entry>& palette) { return static_cast<int64_t>(palette.size()); }

// Name, action and side are mentioned for every person; looks only for a person who is being introduced.
std::vector<FactKind> person_kinds(const std::string& who) {
  return {{who + " name", static_cast<int64_t>(person_names().size())},
          {who + " action", count_of<Action>()},
          {who + " side", count_of<Side>()},
          {who + " hat kind", count_of<HatKind>()},
          {who + " hat colour", size_of(Palette::clothes())},
          {who + " hair colour", size_of(Palette::hair())},
          {who + " skin", size_of(Palette::skin())},
          {who + " shirt colour", size_of(Palette::clothes())},
          {who + " trouser colour", size_of(Palette::trousers())}};
}

std::vector<int64_t> facts_of(const Story& story, size_t index, size_t slot) {
  const StoryShot& shot = story.shots[index];
  const Person& person = story.persons[static_cast<size_t>(shot.persons[slot])];
  const auto name = std::ranges::find(person_names(), person.name) - person_names().begin();
  const bool pan = shot.kind == ShotKind::pan;  // its caption mentions a direction instead of an action
  std::vector<int64_t> facts = {name, pan ? kNotTold : static_cast<int64_t>(shot.actions[slot]),
                                static_cast<int64_t>(shot.sides[slot])};
  if (story.first_shot(shot.persons[slot]) != static_cast<int64_t>(index)) {
    facts.resize(kOfPerson, kNotTold);
    return facts;
  }
  for (const int64_t look : {static_cast<int64_t>(person.hat_kind), person.hat_colour, person.hair_colour,
                             person.skin_colour, person.shirt_colour, person.trouser_colour})
    facts.push_back(look);
  return facts;
}

}  // namespace

const std::vector<FactKind>& fact_kinds() {
  static const std::vector<FactKind> kinds = [] {
    std::vector<FactKind> all = {
        {"place", count_of<Place>()}, {"light", count_of<Light>()}, {"shot", count_of<ShotKind>()}};
    for (const char* who : {"first", "second", "left", "middle", "right"})
      for (FactKind& kind : person_kinds(who)) all.push_back(std::move(kind));
    return all;
  }();
  return kinds;
}

std::vector<int64_t> told_facts(const Story& story, size_t index) {
  const StoryShot& shot = story.shots[index];
  std::vector<int64_t> facts(fact_kinds().size(), kNotTold);
  facts[0] = static_cast<int64_t>(story.place);
  facts[1] = static_cast<int64_t>(story.light);
  if (!shot.persons.empty()) facts[2] = static_cast<int64_t>(shot.kind);  // captions call an empty shot a wide shot
  for (size_t slot = 0; slot < shot.persons.size(); ++slot) {
    const std::vector<int64_t> told = facts_of(story, index, slot);
    const auto side = static_cast<int64_t>(shot.sides[slot]);
    for (const int64_t place : {static_cast<int64_t>(slot), 2 + side})
      std::ranges::copy(told, facts.begin() + kScene + place * kOfPerson);
  }
  return facts;
}

}  // namespace moga
