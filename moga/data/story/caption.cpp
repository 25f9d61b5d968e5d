// Captions: "A wide shot of the lake at dusk: Mara, with fair skin and long blond hair, in a red top hat, …, waves on
// the left." Every caption mentions place, light, kind of shot, side and action; only a person's first caption
// describes the person's looks. The wording varies, the content does not. No place is described with a colour word of a
// palette.
#include "moga/data/story/caption.h"

#include <array>
#include <cctype>

#include "moga/data/story/dice.h"

namespace moga {
namespace {

template <class E>
constexpr size_t index_of(E value) {
  return static_cast<size_t>(value);
}

struct PlaceWords {
  const char* name;   // "the lake"
  const char* where;  // "by the lake"
};
constexpr std::array<PlaceWords, index_of(Place::count)> kPlaces = {{{"the lake", "by the lake"},
                                                                     {"the city street", "in the city street"},
                                                                     {"the forest", "in the forest"},
                                                                     {"the beach", "on the beach"},
                                                                     {"the kitchen", "in the kitchen"},
                                                                     {"the snowy hills", "in the snowy hills"}}};
constexpr std::array<const char*, index_of(Light::count)> kLights = {"by day", "at dusk"};
constexpr std::array<const char*, index_of(Side::count)> kSides = {"on the left", "in the middle", "on the right"};
constexpr std::array<const char*, index_of(HatKind::count)> kHats = {"cap", "top hat", "beanie", "sun hat"};
constexpr std::array<const char*, index_of(ShotKind::count)> kKinds = {"wide shot", "medium shot", "close-up", "pan",
                                                                       "two-shot"};

std::string colour(const std::vector<Palette::Entry>& palette, int64_t index) {
  return palette[static_cast<size_t>(index)].name;
}

std::string looks(const Person& person) {
  return "with " + colour(Palette::skin(), person.skin_colour) + " skin and " +
         (person.long_hair ? "long " : "short ") + colour(Palette::hair(), person.hair_colour) + " hair, in a " +
         colour(Palette::clothes(), person.hat_colour) + " " + hat_name(person.hat_kind) + ", " +
         colour(Palette::clothes(), person.shirt_colour) + " shirt and " +
         colour(Palette::trousers(), person.trouser_colour) + " trousers";
}

std::string deed(Dice& dice, Action action, Side side) {
  if (action == Action::walk) {
    if (side == Side::middle) return "walks through the middle";
    return side == Side::left ? "walks from left to right" : "walks from right to left";
  }
  static const std::array<std::vector<std::string>, index_of(Action::count)> verbs = {{{},
                                                                                       {"waves", "is waving"},
                                                                                       {"jumps", "is jumping"},
                                                                                       {"turns around", "looks around"},
                                                                                       {"stands still", "stands"}}};
  return dice.pick(verbs[index_of(action)]) + " " + kSides[index_of(side)];
}

// "Mara, with …, in a red top hat, …, waves on the left".
std::string subject(Dice& dice, const Story& story, size_t index, size_t slot) {
  const StoryShot& shot = story.shots[index];
  const Person& person = story.persons[static_cast<size_t>(shot.persons[slot])];
  const bool introduced = story.first_shot(shot.persons[slot]) == static_cast<int64_t>(index);
  const std::string who = introduced ? person.name + ", " + looks(person) + "," : person.name;
  if (shot.kind == ShotKind::pan)
    return who + (shot.sides[slot] == Side::right ? " heads left, " : " heads right, ") +
           kSides[index_of(shot.sides[slot])];
  return who + " " + deed(dice, shot.actions[slot], shot.sides[slot]);
}

std::string capital(std::string text) {
  text[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(text[0])));
  return text;
}

std::string caption(Dice& dice, const Story& story, size_t index) {
  const StoryShot& shot = story.shots[index];
  const PlaceWords& place = kPlaces[index_of(story.place)];
  const std::string light = kLights[index_of(story.light)];
  const std::string kind = kKinds[index_of(shot.kind)];
  if (shot.persons.empty()) {
    if (shot.kind == ShotKind::pan)
      return std::string("The camera pans over ") + place.name + " " + light + ", nobody is there.";
    return capital("a wide shot of ") + place.name + " " + light + ", " +
           (dice.chance(0.5) ? "nobody is there." : "empty.");
  }
  std::string people = subject(dice, story, index, 0);
  if (shot.persons.size() > 1) people += (dice.chance(0.5) ? ", and " : " while ") + subject(dice, story, index, 1);
  switch (dice.below(3)) {
    case 0:
      return "A " + kind + " " + place.where + " " + light + ": " + people + ".";
    case 1:
      return capital(place.where) + " " + light + ", " + kind + ". " + people + ".";
    default:
      return capital(kind) + ", " + place.where + ", " + light + ": " + people + ".";
  }
}

}  // namespace

const char* hat_name(HatKind kind) { return kHats[index_of(kind)]; }

void tell(Story& story) {
  Dice dice(story.seed, "captions");
  for (size_t index = 0; index < story.shots.size(); ++index) story.shots[index].caption = caption(dice, story, index);
}

}  // namespace moga
