// Properties of stories: deterministic by seed, looks mentioned once, cuts between latent frames, evenly drawn colours.
#include "moga/data/story/story.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <limits>
#include <set>

#include "tests/support/error.h"

namespace moga {
namespace {

std::set<std::string> words(const std::string& text) {
  std::set<std::string> found;
  std::string word;
  for (const char letter : text + " ") {
    if (std::isalpha(static_cast<unsigned char>(letter)) || letter == '-') {
      word += static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
    } else if (!word.empty()) {
      found.insert(word);
      word.clear();
    }
  }
  return found;
}

std::set<std::string> attribute_words() {
  std::set<std::string> found = {"cap",      "top",  "hat",  "beanie", "sun",  "shirt",
                                 "trousers", "hair", "skin", "long",   "short"};
  for (const auto* palette : {&Palette::clothes(), &Palette::trousers(), &Palette::hair(), &Palette::skin()})
    for (const auto& entry : *palette) found.insert(entry.name);
  return found;
}

TEST(Story, IsTheSameForTheSameSeed) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const Story a = plan_story(seed, {}), b = plan_story(seed, {}), other = plan_story(seed + 1, {});
    EXPECT_EQ(a.captions(), b.captions());
    EXPECT_EQ(a.latent_shot_frames(), b.latent_shot_frames());
    EXPECT_NE(a.captions(), other.captions());
  }
}

TEST(Story, TellsLooksOnlyWhereAPersonFirstAppears) {
  const std::set<std::string> looks = attribute_words();
  for (uint64_t seed = 0; seed < 300; ++seed) {
    const Story story = plan_story(seed, {.min_shots = 2, .max_shots = 6});
    for (size_t shot = 0; shot < story.shots.size(); ++shot) {
      const auto& persons = story.shots[shot].persons;
      const bool introduces = std::ranges::any_of(
          persons, [&](int64_t person) { return story.first_shot(person) == static_cast<int64_t>(shot); });
      const std::set<std::string> said = words(story.shots[shot].caption);
      std::set<std::string> leaked;
      std::ranges::set_intersection(said, looks, std::inserter(leaked, leaked.end()));
      EXPECT_EQ(introduces, !leaked.empty()) << story.shots[shot].caption;
      for (const int64_t person : persons) {
        std::string name = story.persons[static_cast<size_t>(person)].name;
        name[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(name[0])));
        EXPECT_TRUE(said.count(name)) << story.shots[shot].caption;
      }
    }
  }
}

TEST(Story, TellsEveryLookInTheFirstCaption) {
  for (uint64_t seed = 0; seed < 100; ++seed) {
    const Story story = plan_story(seed, {});
    for (size_t i = 0; i < story.persons.size(); ++i) {
      const std::string& caption = story.shots[static_cast<size_t>(story.first_shot(static_cast<int64_t>(i)))].caption;
      const Person& person = story.persons[i];
      const std::string shirt = Palette::clothes()[static_cast<size_t>(person.shirt_colour)].name + " shirt";
      const std::string trousers = Palette::trousers()[static_cast<size_t>(person.trouser_colour)].name + " trousers";
      EXPECT_NE(caption.find("in a " + Palette::clothes()[static_cast<size_t>(person.hat_colour)].name),
                std::string::npos);
      EXPECT_NE(caption.find(shirt), std::string::npos) << caption;
      EXPECT_NE(caption.find(trousers), std::string::npos) << caption;
    }
  }
}

TEST(Story, CutsLieBetweenLatentFrames) {
  for (const int64_t frames : {49, 129, 161, 477})
    for (uint64_t seed = 0; seed < 50; ++seed) {
      const Story story = plan_story(seed, {.frames = frames, .min_shots = 2, .max_shots = 6});
      int64_t latent = 0, next = 0;
      for (size_t shot = 0; shot < story.shots.size(); ++shot) {
        EXPECT_EQ(story.shots[shot].first_frame, next);
        EXPECT_EQ(next, latent == 0 ? 0 : 4 * latent - 3);
        latent += story.latent_shot_frames()[shot];
        next += story.shots[shot].frames;
      }
      EXPECT_EQ(next, frames);
      EXPECT_EQ(latent, 1 + (frames - 1) / 4);
    }
}

TEST(Story, ShotsHaveTwoRunsWhereTheyFit) {
  std::set<int64_t> lengths;
  for (uint64_t seed = 0; seed < 100; ++seed)
    for (const int64_t length : plan_story(seed, {}).latent_shot_frames()) {
      EXPECT_GE(length, 6);
      lengths.insert(length);
    }
  EXPECT_GE(lengths.size(), 4u);
  for (const int64_t length : plan_story(1, {.frames = 49, .min_shots = 6, .max_shots = 6}).latent_shot_frames())
    EXPECT_GE(length, 2);
}

bool leaves_and_returns(const Story& story) {
  const auto here = [&](size_t shot) { return std::ranges::count(story.shots[shot].persons, 0) > 0; };
  size_t back = story.shots.size();
  for (size_t shot = 1; shot < story.shots.size(); ++shot)
    if (here(shot) && !here(shot - 1)) back = shot;
  return here(0) && back < story.shots.size();
}

TEST(Story, APersonIsAwayAndReturnsAsOftenAsAsked) {
  int64_t half = 0;
  for (uint64_t seed = 0; seed < 400; ++seed) {
    EXPECT_TRUE(leaves_and_returns(plan_story(seed, {.away = 1})));
    EXPECT_FALSE(leaves_and_returns(plan_story(seed, {.away = 0})));
    half += leaves_and_returns(plan_story(seed, {.away = 0.5}));
  }
  EXPECT_NEAR(static_cast<double>(half), 200, 50);
}

TEST(Story, HatAndShirtColoursAreUniformAndIndependent) {
  constexpr int64_t kStories = 16000;
  std::vector<int64_t> pairs(64);
  for (uint64_t seed = 0; seed < kStories; ++seed) {
    const Person person = plan_story(seed, {}).persons[0];
    ++pairs[static_cast<size_t>(8 * person.hat_colour + person.shirt_colour)];
  }
  const double expected = kStories / 64.0;
  double chi_squared = 0;
  for (const int64_t count : pairs) chi_squared += (count - expected) * (count - expected) / expected;
  EXPECT_LT(chi_squared, 104);  // 63 degrees of freedom, p = 0.001
}

TEST(Story, RefusesWhatCannotBe) {
  const auto error = [](const StoryConfig& config) -> std::string {
    return test::error_of([&] { plan_story(0, config); });
  };
  EXPECT_EQ(error({.frames = 128}), "story frames = 128, expected 1 + 4k");
  EXPECT_EQ(error({.frames = 13, .min_shots = 4, .max_shots = 4}),
            "4 shots do not fit into 13 frames: a shot takes at least 2 latent frames, the story has 4");
  constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
  EXPECT_EQ(error({.max_shots = kMost}).find(std::to_string(kMost) + " shots do not fit into "), 0u);
  EXPECT_EQ(error({.max_persons = 3}), "max_persons = 3, expected 1 or 2");
  const std::string sides = ": expected multiples of 16 from 32 to 16384, so that the story's script can be generated";
  EXPECT_EQ(error({.width = 120, .height = 64}), "story size 120×64" + sides);
  EXPECT_EQ(error({.width = 1 << 20, .height = 64}), "story size 1048576×64" + sides);
  EXPECT_EQ(error({.width = 64, .height = 128}), "story size 64×128: expected a width of at least the height");
  EXPECT_EQ(error({.min_shots = 3, .max_shots = 2}),
            "min_shots = 3, max_shots = 2: expected 1 ≤ min_shots ≤ max_shots");
  EXPECT_EQ(error({.away = 1.5}), "away = 1.5, expected a probability from 0 to 1");
}

}  // namespace
}  // namespace moga
