// Facts match the caption: it contains the word of every fact it tells, and no others.
#include "moga/data/story/facts.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace moga {
namespace {

int64_t index_of(const std::string& name) {
  const auto& kinds = fact_kinds();
  const auto found = std::ranges::find(kinds, name, &FactKind::name);
  EXPECT_NE(found, kinds.end()) << name;
  return found - kinds.begin();
}

TEST(StoryFacts, ColoursFollowTheirGarmentsInTheCaption) {
  int64_t told = 0;
  for (uint64_t seed = 0; seed < 50; ++seed) {
    const Story story = plan_story(seed, {});
    for (size_t shot = 0; shot < story.shots.size(); ++shot) {
      const std::vector<int64_t> facts = told_facts(story, shot);
      const int64_t shirt = facts[index_of("first shirt colour")];
      const std::string& caption = story.shots[shot].caption;
      if (shirt == kNotTold) continue;
      ++told;
      EXPECT_NE(caption.find(Palette::clothes()[shirt].name + " shirt"), std::string::npos) << caption;
    }
  }
  EXPECT_GT(told, 40);
}

TEST(StoryFacts, LooksAreToldOnlyWhereAPersonIsIntroduced) {
  const Story story = plan_story(3, {});
  for (size_t shot = 0; shot < story.shots.size(); ++shot)
    for (size_t slot = 0; slot < story.shots[shot].persons.size(); ++slot) {
      const std::vector<int64_t> facts = told_facts(story, shot);
      const std::string who = slot == 0 ? "first" : "second";
      const bool introduced = story.first_shot(story.shots[shot].persons[slot]) == static_cast<int64_t>(shot);
      EXPECT_EQ(facts[index_of(who + " hat colour")] != kNotTold, introduced);
      EXPECT_NE(facts[index_of(who + " name")], kNotTold);
    }
}

TEST(StoryFacts, APersonIsFoundBySideAsWell) {
  for (uint64_t seed = 0; seed < 30; ++seed) {
    const Story story = plan_story(seed, {});
    const std::vector<int64_t> facts = told_facts(story, 0);
    const std::string side[] = {"left", "middle", "right"};
    const std::string where = side[static_cast<size_t>(story.shots[0].sides[0])];
    for (const char* what : {" hat colour", " shirt colour", " name"})
      EXPECT_EQ(facts[index_of(where + what)], facts[index_of(std::string("first") + what)]);
  }
}

TEST(StoryFacts, ClassesAreWithinTheirKind) {
  for (uint64_t seed = 0; seed < 50; ++seed) {
    const Story story = plan_story(seed, {});
    for (size_t shot = 0; shot < story.shots.size(); ++shot) {
      const std::vector<int64_t> facts = told_facts(story, shot);
      ASSERT_EQ(facts.size(), fact_kinds().size());
      for (size_t i = 0; i < facts.size(); ++i) EXPECT_LT(facts[i], fact_kinds()[i].classes) << fact_kinds()[i].name;
    }
  }
}

}  // namespace
}  // namespace moga
