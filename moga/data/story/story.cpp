// Plans a story: who is in which shot, for how long, where and doing what. caption.cpp writes the captions, render.cpp
// draws the pictures.
#include "moga/data/story/story.h"

#include <algorithm>

#include "moga/core/check.h"
#include "moga/data/limits.h"
#include "moga/data/story/caption.h"
#include "moga/data/story/dice.h"

namespace moga {
namespace {

// A shot of six latent frames has two runs at T = 4, so static groups alone cannot carry a colour through it.
constexpr int64_t kLatentFramesWanted = 6;
constexpr int64_t kLatentFramesLeast = 2;

struct Name {
  const char* name;
  bool long_hair;
};
constexpr Name kNames[] = {{"Mara", true}, {"Jon", false},   {"Lena", true},  {"Otto", false},
                           {"Ida", true},  {"Felix", false}, {"Nora", true},  {"Bruno", false},
                           {"Zoe", true},  {"Hugo", false},  {"Alma", true},  {"Max", false},
                           {"Rosa", true}, {"Leo", false},   {"Greta", true}, {"Tim", false}};

using Presence = std::vector<std::vector<int64_t>>;  // persons of each shot

int64_t latent_frames(const StoryConfig& config) { return kWanPixelsPerToken.latent_frames(config.frames); }

std::vector<Person> draw_persons(Dice& dice, int64_t count) {
  std::vector<Person> persons;
  const int64_t names = std::size(kNames);
  const auto colours = static_cast<int64_t>(Palette::clothes().size());
  int64_t name = dice.below(names);
  for (int64_t i = 0; i < count; ++i) {
    persons.push_back({.name = kNames[name].name,
                       .long_hair = kNames[name].long_hair,
                       .hat_kind = static_cast<HatKind>(dice.below(static_cast<int64_t>(HatKind::count))),
                       .hat_colour = dice.below(colours),
                       .hair_colour = dice.below(static_cast<int64_t>(Palette::hair().size())),
                       .skin_colour = dice.below(static_cast<int64_t>(Palette::skin().size())),
                       .shirt_colour = dice.below(colours),
                       .trouser_colour = dice.below(static_cast<int64_t>(Palette::trousers().size()))});
    name = (name + 1 + dice.below(names - 1)) % names;
  }
  return persons;
}

// Person 0 opens the story, is absent from shots [leave, back) and returns. The other person, if any, fills the gap.
Presence presence_with_absence(Dice& dice, int64_t shots, int64_t persons) {
  const int64_t leave = 1 + dice.below(shots - 2);
  const int64_t back = leave + 1 + dice.below(shots - 1 - leave);
  Presence presence;
  for (int64_t shot = 0; shot < shots; ++shot) {
    const bool first = shot < leave || shot >= back;
    const bool second = persons > 1 && (!first || (shot >= back && dice.chance(0.5)));
    presence.emplace_back();
    if (first) presence.back().push_back(0);
    if (second) presence.back().push_back(1);
  }
  return presence;
}

// Person 0 is in every shot, the other person in one contiguous range of shots.
Presence presence_without_absence(Dice& dice, int64_t shots, int64_t persons) {
  Presence presence(static_cast<size_t>(shots), {0});
  if (persons < 2 || shots < 2) return presence;
  const int64_t from = 1 + dice.below(shots - 1), to = from + 1 + dice.below(shots - from);
  for (int64_t shot = from; shot < to; ++shot) presence[static_cast<size_t>(shot)].push_back(1);
  return presence;
}

// Latent frames of each shot: the minimum each, with the rest distributed at random.
std::vector<int64_t> deal_latent_frames(Dice& dice, int64_t total, int64_t shots) {
  std::vector<int64_t> lengths(static_cast<size_t>(shots), std::min(kLatentFramesWanted, total / shots));
  int64_t rest = total - lengths[0] * shots;
  const int64_t most = total / shots + std::max<int64_t>(2, total / shots / 2);
  while (rest > 0) {
    auto& length = lengths[static_cast<size_t>(dice.below(shots))];
    if (length >= most) continue;
    ++length;
    --rest;
  }
  return lengths;
}

// A kind that differs from the previous shot's, where there is a choice.
ShotKind draw_kind(Dice& dice, size_t persons, ShotKind before) {
  using enum ShotKind;
  static const std::vector<ShotKind> empty = {wide, pan};
  static const std::vector<ShotKind> one = {wide, medium, close_up, pan};
  static const std::vector<ShotKind> two = {two_shot, two_shot, wide};
  ShotKind kind = before;
  for (int tries = 0; tries < 8 && kind == before; ++tries)
    kind = dice.pick(persons == 0 ? empty : persons == 1 ? one : two);
  return kind;
}

// Two persons in one picture stay in place; otherwise they would hide each other.
Action draw_action(Dice& dice, ShotKind kind, size_t persons) {
  using enum Action;
  static const std::vector<Action> any = {walk, wave, jump, turn, stand};
  static const std::vector<Action> in_place = {wave, jump, turn, stand};
  static const std::vector<Action> calm = {wave, turn, stand};
  if (kind == ShotKind::pan) return walk;
  if (kind == ShotKind::close_up) return dice.pick(calm);
  return dice.pick(persons > 1 ? in_place : any);
}

void stage(Dice& dice, StoryShot& shot, ShotKind before) {
  shot.kind = draw_kind(dice, shot.persons.size(), before);
  const bool swapped = dice.chance(0.5);
  for (size_t i = 0; i < shot.persons.size(); ++i) {
    shot.actions.push_back(draw_action(dice, shot.kind, shot.persons.size()));
    const Side alone = static_cast<Side>(dice.below(static_cast<int64_t>(Side::count)));
    const Side beside = (i == 0) == swapped ? Side::right : Side::left;
    shot.sides.push_back(shot.persons.size() > 1 ? beside : alone);
  }
}

}  // namespace

const std::vector<std::string>& person_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all;
    for (const Name& name : kNames) all.emplace_back(name.name);
    return all;
  }();
  return names;
}

const std::vector<Palette::Entry>& Palette::clothes() {
  static const std::vector<Entry> entries = {{"red", {0.87f, 0.15f, 0.14f}},    {"yellow", {0.99f, 0.84f, 0.16f}},
                                             {"green", {0.16f, 0.62f, 0.24f}},  {"blue", {0.13f, 0.40f, 0.90f}},
                                             {"purple", {0.57f, 0.19f, 0.70f}}, {"pink", {0.98f, 0.52f, 0.70f}},
                                             {"white", {0.95f, 0.95f, 0.95f}},  {"black", {0.11f, 0.11f, 0.13f}}};
  return entries;
}

const std::vector<Palette::Entry>& Palette::trousers() {
  static const std::vector<Entry> entries = {{"grey", {0.50f, 0.52f, 0.55f}},
                                             {"brown", {0.45f, 0.30f, 0.20f}},
                                             {"navy", {0.16f, 0.21f, 0.38f}},
                                             {"beige", {0.80f, 0.70f, 0.54f}}};
  return entries;
}

const std::vector<Palette::Entry>& Palette::hair() {
  static const std::vector<Entry> entries = {{"blond", {0.90f, 0.74f, 0.40f}},
                                             {"auburn", {0.62f, 0.27f, 0.14f}},
                                             {"chestnut", {0.36f, 0.22f, 0.14f}},
                                             {"raven", {0.15f, 0.13f, 0.15f}}};
  return entries;
}

const std::vector<Palette::Entry>& Palette::skin() {
  static const std::vector<Entry> entries = {
      {"fair", {0.99f, 0.84f, 0.73f}}, {"tan", {0.89f, 0.68f, 0.51f}}, {"dark", {0.52f, 0.34f, 0.25f}}};
  return entries;
}

void StoryConfig::validate() const {
  check(width >= 32 && height >= 32 && width <= kLargestSide && height <= kLargestSide &&
            kWanPixelsPerToken.divide(width, height),
        "story size ", width, "×", height, ": expected ", kWanPixelsPerToken.multiples(), " from 32 to ", kLargestSide,
        ", so that the story's script can be generated");
  check(width >= height, "story size ", width, "×", height, ": expected a width of at least the height");
  check(frames >= 1 && frames % kLatentStride == 1, "story frames = ", frames, ", expected 1 + ", kLatentStride, "k");
  check(min_shots >= 1 && min_shots <= max_shots, "min_shots = ", min_shots, ", max_shots = ", max_shots,
        ": expected 1 ≤ min_shots ≤ max_shots");
  check(max_persons >= 1 && max_persons <= 2, "max_persons = ", max_persons, ", expected 1 or 2");
  check(away >= 0 && away <= 1, "away = ", away, ", expected a probability from 0 to 1");
  check(max_shots <= latent_frames(*this) / kLatentFramesLeast, max_shots, " shots do not fit into ", frames,
        " frames: a shot takes at least ", kLatentFramesLeast, " latent frames, the story has ", latent_frames(*this));
}

void check_story_codec(const Strides& strides) {
  check(strides.frames == kLatentStride, "stories cut at every ", kLatentStride,
        "th pixel frame; a latent frame of this codec is ", strides.frames);
}

std::vector<std::string> Story::captions() const {
  std::vector<std::string> captions;
  for (const StoryShot& shot : shots) captions.push_back(shot.caption);
  return captions;
}

std::vector<int64_t> Story::latent_shot_frames() const {
  std::vector<int64_t> lengths;
  for (const StoryShot& shot : shots) lengths.push_back((shot.frames + kLatentStride - 1) / kLatentStride);
  return lengths;
}

int64_t Story::first_shot(int64_t person) const {
  for (size_t shot = 0; shot < shots.size(); ++shot)
    if (std::ranges::count(shots[shot].persons, person) > 0) return static_cast<int64_t>(shot);
  fail("story ", seed, " has no person ", person);
}

Story plan_story(uint64_t seed, const StoryConfig& config) {
  config.validate();
  Dice dice(seed, "story");
  const int64_t shots = config.min_shots + dice.below(config.max_shots - config.min_shots + 1);
  const int64_t persons = 1 + dice.below(config.max_persons);
  const bool away = dice.chance(config.away) && shots >= 3;
  const Presence presence =
      away ? presence_with_absence(dice, shots, persons) : presence_without_absence(dice, shots, persons);
  Dice looks(seed, "persons");
  Story story{.seed = seed,
              .config = config,
              .persons = draw_persons(looks, shots > 1 ? persons : 1),
              .place = static_cast<Place>(dice.below(static_cast<int64_t>(Place::count))),
              .light = static_cast<Light>(dice.below(static_cast<int64_t>(Light::count))),
              .shots = {}};
  int64_t first = 0, latent = 0;
  for (int64_t length : deal_latent_frames(dice, latent_frames(config), shots)) {
    latent += length;
    const int64_t end = kWanPixelsPerToken.pixel_frames(latent);
    StoryShot& shot = story.shots.emplace_back();
    shot.first_frame = first;
    shot.frames = end - first;
    shot.persons = presence[story.shots.size() - 1];
    stage(dice, shot, story.shots.size() > 1 ? story.shots[story.shots.size() - 2].kind : ShotKind::count);
    first = end;
  }
  tell(story);
  return story;
}

}  // namespace moga
