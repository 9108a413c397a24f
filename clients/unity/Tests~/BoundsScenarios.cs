// Bounds of a client: resources after many utterances, a speech whose events are not read, a server that drains.

using System.Collections.Generic;
using System.IO;
using System.Threading.Tasks;

namespace Voxwire.Tests
{
    internal static class BoundsScenarios
    {
        /// <summary>
        /// Speaks many utterances, each with its own client; counts threads and open files (with sockets) after each.
        /// </summary>
        internal static async Task<Dictionary<string, object>> ManyAsync(Wish wish)
        {
            var counts = new List<object>();
            bool all = true;
            for (int i = 0; i < wish.Number("count"); i++)
            {
                VoxwireClient client = await wish.ConnectAsync();
                SpeechContext context = await client.SpeakAsync(wish.Text, wish.Options());
                var record = new Record();
                if (i % 3 == 2)
                    await context.InterruptAsync();
                await record.ReadAllAsync(context);
                all &= record.Done != null && client.OpenContexts == 0;
                await client.CloseAsync();
                counts.Add(new List<object> { Entries("/proc/self/task"), Handles() });
            }
            return new Dictionary<string, object> { { "all done", all }, { "counts", counts } };
        }

        /// <summary>Does not read one speech while another is spoken to its end; then reads it.</summary>
        internal static async Task<Dictionary<string, object>> SlowAsync(Wish wish)
        {
            VoxwireClient client = await wish.ConnectAsync();
            SpeechContext unread = await client.SpeakAsync(wish.Text, wish.Options());
            while (unread.EventsWaiting < SpeechContext.EventsHold)
                await client.PingAsync();
            SpeechContext other = await client.SpeakAsync(wish.Map("other"));
            var record = new Record();
            await record.ReadAllAsync(other);
            long waiting = unread.EventsWaiting;
            for (int i = 0; i < 5; i++)
                await client.PingAsync();
            long stillWaiting = unread.EventsWaiting;
            var late = new Record();
            await late.ReadAllAsync(unread);
            await client.CloseAsync();
            Dictionary<string, object> map = late.Map();
            map["waiting"] = waiting;
            map["still waiting"] = stillWaiting;
            map["other's reason"] = record.Done.Reason;
            return map;
        }

        /// <summary>
        /// Starts a second speech after the server has begun to drain, while the first is still spoken.
        /// </summary>
        internal static async Task<Dictionary<string, object>> DrainAsync(Wish wish)
        {
            VoxwireClient client = await wish.ConnectAsync();
            SpeechContext one = await client.SpeakAsync(wish.Text, wish.Options());
            var records = new[] { new Record(), new Record() };
            Task first = records[0].ReadAllAsync(one);
            while (!client.Draining)
                await client.PingAsync();
            SpeechContext other = await client.SpeakAsync(wish.Map("other"), wish.Options());
            await Task.WhenAll(first, records[1].ReadAllAsync(other));
            await client.CloseAsync();
            return new Dictionary<string, object> { { "one", records[0].Map() }, { "other", records[1].Map() } };
        }

        private static long Entries(string folder)
        {
            return Directory.GetDirectories(folder).Length;
        }

        private static long Handles()
        {
            return Directory.GetFiles("/proc/self/fd").Length;
        }
    }
}
