// The HTTP interface with a stand-in worker: what each path answers, and that every error is JSON.
#include "moga/serve/routes.h"

#include <gtest/gtest.h>

#include "tests/serve/server_cases.h"

namespace moga {
namespace {

using nlohmann::json;
using test::soon;
using test::TestServer;
using test::Working;

json body_of(const httplib::Result& result) { return json::parse(result->body); }

void expect_error(const httplib::Result& result, int status, const std::string& text) {
  ASSERT_TRUE(result) << text;
  EXPECT_EQ(result->status, status) << result->body;
  const json error = body_of(result).at("error");
  EXPECT_NE(error.at("message").get<std::string>().find(text), std::string::npos) << result->body;
  EXPECT_TRUE(error.at("type").is_string() && error.at("code").is_string()) << result->body;
}

bool completes(const TestServer& server, const std::string& id) {
  return soon([&] { return server.queue.find(id)->job.status == JobStatus::kCompleted; });
}

TEST(Routes, AFilmFromRequestToFile) {
  TestServer server;
  const auto posted = server.post({{"prompt", "A lake."}, {"num_frames", 9}});
  ASSERT_EQ(posted->status, 200) << posted->body;
  const json video = body_of(posted);
  EXPECT_EQ(video.at("object"), "video");
  EXPECT_EQ(video.at("status"), "queued");
  EXPECT_EQ(video.at("size"), "48x32");
  EXPECT_EQ(video.at("seconds"), "0.5625");
  EXPECT_EQ(video.at("queue_position"), 1);
  const std::string id = video.at("id"), path = "/v1/videos/" + id;
  expect_error(server.client().Get(path + "/content"), 409, "the video is queued");
  const Working working(server.queue);
  ASSERT_TRUE(completes(server, id));
  const json done = body_of(server.client().Get(path));
  EXPECT_EQ(done.at("progress"), 100);
  EXPECT_EQ(done.at("error"), nullptr);
  EXPECT_EQ(body_of(server.client().Get(path + "/script")).at("shot")[0].at("caption"), "A lake.");
  EXPECT_EQ(server.client().Get(path + "/content?variant=spritesheet")->body, "PNG");
  EXPECT_EQ(body_of(server.client().Delete(path)).at("deleted"), true);
  expect_error(server.client().Get(path), 404, "there is no video " + id);
}

TEST(Routes, AFilmIsSentInParts) {
  TestServer server;
  const Working working(server.queue);
  const std::string id = server.submitted("0123456789"), path = "/v1/videos/" + id + "/content";
  ASSERT_TRUE(completes(server, id));
  const auto range = [&](const char* range) { return server.client().Get(path, {{"Range", range}}); };
  EXPECT_EQ(server.client().Get(path)->body, "0123456789");
  EXPECT_EQ(server.client().Get(path)->get_header_value("Content-Type"), "video/mp4");
  EXPECT_EQ(range("bytes=2-4")->body, "234");
  EXPECT_EQ(range("bytes=2-4")->status, 206);
  EXPECT_EQ(range("bytes=2-4")->get_header_value("Content-Range"), "bytes 2-4/10");
  EXPECT_EQ(range("bytes=-3")->body, "789");
  EXPECT_EQ(range("bytes=8-100")->body, "89");
  expect_error(range("bytes=10-"), 416, "the file has 10 bytes");
  EXPECT_EQ(range("bytes=10-")->get_header_value("Content-Range"), "bytes */10");
  const auto head = server.client().Head(path);
  EXPECT_EQ(head->get_header_value("Content-Length"), "10");
  EXPECT_EQ(head->body, "");
}

TEST(Routes, ListsJobs) {
  TestServer server;
  std::vector<std::string> ids;
  for (const char* title : {"1", "2", "3"}) ids.push_back(server.submitted(title));
  const auto list = [&](const std::string& query) { return body_of(server.client().Get("/v1/videos" + query)); };
  EXPECT_EQ(list("").at("data").size(), 3);
  EXPECT_EQ(list("").at("first_id"), ids[2]);
  const json first = list("?limit=1&order=asc");
  EXPECT_EQ(first.at("data")[0].at("id"), ids[0]);
  EXPECT_EQ(first.at("has_more"), true);
  const json rest = list("?order=asc&after=" + ids[0]);
  EXPECT_EQ(rest.at("first_id"), ids[1]);
  EXPECT_EQ(rest.at("data")[1].at("queue_position"), 3);
  EXPECT_EQ(rest.at("has_more"), false);
  expect_error(server.client().Get("/v1/videos?limit=0"), 400, "limit is '0', expected 1 to 100");
  expect_error(server.client().Get("/v1/videos?limti=5"), 400, "unknown parameter 'limti'; did you mean 'limit'?");
  expect_error(server.client().Get("/v1/videos?after=x"), 404, "after is no id");
  expect_error(server.client().Get("/v1/videos?order=up"), 400, "expected asc or desc");
}

TEST(Routes, ErrorsAreJson) {
  TestServer server;
  auto client = server.client();
  expect_error(client.Get("/nothing"), 404, "there is nothing at this path");
  expect_error(client.Get("/v1/videos/"), 404, "that is no id");
  expect_error(client.Get("/v1/videos/..%2f..%2fetc%2fpasswd"), 404, "");
  expect_error(client.Get("/v1/videos/video_00000000000000000000000000000000"), 404, "there is no video");
  expect_error(client.Get("/v1/videos/" + server.submitted() + "/nothing"), 404, "nothing at this path");
  expect_error(client.Delete("/v1/videos"), 405, "DELETE is not possible here, expected GET, POST");
  expect_error(client.Put("/v1/videos", "{}", "application/json"), 405, "PUT is not possible");
  expect_error(client.Post("/v1/videos", "prompt=a", "application/x-www-form-urlencoded"), 415, "application/json");
  expect_error(client.Post("/v1/videos", "{", "application/json"), 400, "request: ");
  expect_error(server.post({{"promt", "a"}}), 400, "has neither prompt nor shot");
  expect_error(server.post({{"prompt", "a"}}, {{"Idempotency-Key", std::string(200, 'k')}}), 400, "Idempotency-Key");
}

TEST(Routes, AKeySubmitsOnce) {
  TestServer server;
  const httplib::Headers key = {{"Idempotency-Key", "k1"}};
  const std::string id = body_of(server.post({{"prompt", "a"}}, key)).at("id");
  EXPECT_EQ(body_of(server.post({{"prompt", "a"}}, key)).at("id"), id);
  expect_error(server.post({{"prompt", "b"}}, key), 409, "another script");
  EXPECT_EQ(server.queue.all().size(), 1);
}

TEST(Routes, AFullQueueSaysSo) {
  TestServer server("", {}, {1, 1});
  server.submitted();
  const auto full = server.post({{"prompt", "a"}});
  expect_error(full, 429, "the queue is full: 1 jobs wait");
  EXPECT_EQ(full->get_header_value("Retry-After"), "30");
}

TEST(Routes, ATokenGuardsAllButThePage) {
  TestServer server("0123456789abcdef");
  auto client = server.client();
  EXPECT_EQ(client.Get("/")->status, 200);
  EXPECT_EQ(client.Get("/health")->body, "{\"status\":\"ok\"}\n");
  for (const char* path : {"/metrics", "/v1/models", "/v1/videos", "/v1/videos/x/content", "/x"})
    expect_error(client.Get(path), 401, "needs a token");
  EXPECT_EQ(client.Get("/v1/videos")->get_header_value("WWW-Authenticate"), "Bearer");
  expect_error(server.post({{"prompt", "a"}}), 401, "needs a token");
  const httplib::Headers token = {{"Authorization", "Bearer 0123456789abcdef"}};
  EXPECT_EQ(client.Get("/v1/videos", token)->status, 200);
  EXPECT_EQ(server.post({{"prompt", "a"}}, token)->status, 200);
  EXPECT_NE(client.Get("/metrics", token)->body.find("moga_jobs{status=\"queued\"} 1"), std::string::npos);
}

TEST(Routes, OtherPagesCannotUseIt) {
  TestServer server;
  expect_error(server.post({{"prompt", "a"}}, {{"Origin", "http://evil.example"}}), 403, "another page");
  expect_error(server.client().Get("/v1/videos", {{"Host", "evil.example"}}), 403, "Host is not this machine");
  EXPECT_TRUE(server.queue.all().empty());
}

TEST(Routes, ShowsPreviews) {
  TestServer server;
  const std::string id = server.submitted("slow"), path = "/v1/videos/" + id + "/preview";
  expect_error(server.client().Get(path), 404, "no preview");
  const Working working(server.queue);
  ASSERT_TRUE(soon([&] { return std::filesystem::exists(server.queue.files_of(id).preview); }));
  EXPECT_EQ(server.client().Get(path)->body, "JPEG");
  EXPECT_EQ(body_of(server.client().Delete("/v1/videos/" + id)).at("status"), "cancelled");
}

}  // namespace
}  // namespace moga
