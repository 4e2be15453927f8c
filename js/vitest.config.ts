import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    environment: "happy-dom",
    include: ["test/**/*.test.ts"],
    restoreMocks: true,
    // Generous: no test is about time, and the machine may be busy with others.
    testTimeout: 60_000,
  },
});
